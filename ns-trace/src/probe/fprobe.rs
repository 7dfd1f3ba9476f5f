//! Programs of the object that aya cannot load: those for fprobe.

use std::{
    collections::HashSet,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya::{Ebpf, maps::Map};
use aya_obj::{Object, generated::bpf_insn};

use super::{load::Programs, plan::Hook};
use crate::sys::bpf;

/// Loads the programs of `hooks` from an object whose other programs and maps are in `ebpf`, from
/// which no map was taken yet.
pub(super) fn load(object: &[u8], hooks: &[Hook], ebpf: &Ebpf) -> io::Result<Programs> {
    if hooks.is_empty() {
        return Ok(Programs::default());
    }
    let code = Code::read(object, ebpf)?;
    hooks.iter().map(|hook| Ok((hook.program, code.load(hook.program)?))).collect()
}

/// The instructions of the object, referring to maps that are loaded.
struct Code(Object);

impl Code {
    /// Reads the object again and has it refer to the maps of `ebpf`.
    fn read(object: &[u8], ebpf: &Ebpf) -> io::Result<Self> {
        let mut object = Object::parse(object).map_err(io::Error::other)?;
        let descriptor = |name: &str| ebpf.map(name).and_then(descriptor).map(|fd| fd.as_raw_fd());
        let maps = object.maps.clone();
        let maps = maps.iter().filter_map(|(name, map)| {
            let descriptor = descriptor(name)?;
            Some((name.as_str(), descriptor, map))
        });
        let sections: HashSet<usize> =
            object.functions.keys().map(|(section, _)| *section).collect();
        object.relocate_maps(maps, &sections).map_err(io::Error::other)?;
        object.relocate_calls(&sections).map_err(io::Error::other)?;
        Ok(Self(object))
    }

    /// Loads a program by its name.
    fn load(&self, program: &str) -> io::Result<OwnedFd> {
        let program = self.0.programs.get(program);
        let function = program.and_then(|program| self.0.functions.get(&program.function_key()));
        let function = function.ok_or(io::ErrorKind::NotFound)?;
        let instructions: Vec<u64> = function.instructions.iter().copied().map(word).collect();
        bpf::load_fprobe(&instructions)
    }
}

/// An instruction as the kernel reads it (`struct bpf_insn`).
fn word(instruction: bpf_insn) -> u64 {
    let registers = instruction.dst_reg() | instruction.src_reg() << 4;
    let [low, high] = instruction.off.to_le_bytes();
    let [a, b, c, d] = instruction.imm.to_le_bytes();
    u64::from_le_bytes([instruction.code, registers, low, high, a, b, c, d])
}

/// That of a map of one of the types that the probes use.
pub(super) fn descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(map)
        | Map::HashMap(map)
        | Map::LruHashMap(map)
        | Map::PerCpuArray(map)
        | Map::RingBuf(map) => Some(map.fd().as_fd()),
        _ => None,
    }
}
