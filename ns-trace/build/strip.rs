//! Objects without what only a debugger reads.

use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// What DWARF stands in, and what relocates it.
const DWARF: [&[u8]; 2] = [b".debug_", b".rel.debug_"];

/// A BPF object without its DWARF. The kernel and aya read `.BTF` and `.BTF.ext`, which stay; DWARF
/// is four fifths of the file, and the tracer would hold all of it in memory while it loads.
///
/// # Errors
///
/// A sentence for the user.
pub(crate) fn debug_sections(object: &[u8]) -> Result<Vec<u8>, String> {
    let mut builder = Builder::read(object)
        .map_err(|error| format!("cannot read the compiled probes: {error}"))?;
    for section in &mut builder.sections {
        section.delete = DWARF.iter().any(|prefix| section.name.starts_with(prefix));
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections among those of symbols; the writer wants a table for each.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder.write(&mut stripped).map_err(|error| format!("cannot strip the probes: {error}"))?;
    Ok(stripped)
}
