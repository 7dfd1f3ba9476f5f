//! Links the command with a static C library.
//!
//! What `create`, `enter` and `netns exec` do takes less time than a loader needs to find, map and
//! bind two libraries: half of all that passes until the program runs. The command asks nothing of
//! the C library that would load others at run time (names of users come from getent(1)), so
//! that it can do without. Nor is it position-independent: it holds twenty thousand addresses, and to
//! correct them all at each start, in a hundred pages of its own, would take a quarter of that time.
//!
//! The target feature `crt-static` would do the same, but has to be set from outside, for a target
//! that is named, and moves everything that cargo writes. So this tells the linker only.

use std::{env, fs, path::Path, process::Command};

/// What rustc names as shared libraries, and the static ones that they become.
const LIBRARIES: [(&str, &str); 3] = [
    ("libgcc_s.so", "GROUP ( libgcc_eh.a libgcc.a libc.a )"),
    ("libc.so", "GROUP ( libc.a libgcc.a libgcc_eh.a )"),
    ("libm.so", "GROUP ( libm.a )"),
];

/// What must be installed for that.
const NEEDED: [&str; 4] = ["libc.a", "libm.a", "libgcc_eh.a", "crt1.o"];

/// Leaves scripts for the linker in `out` and tells cargo about them.
pub(super) fn statically(out: &Path) -> Result<(), String> {
    let setting = |name: &str| env::var(name).unwrap_or_default();
    let is_static =
        setting("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if is_static || setting("CARGO_CFG_TARGET_ENV") != "gnu" {
        return Ok(());
    }
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let is_there = |file: &&str| {
        let output = Command::new(&linker).arg(format!("-print-file-name={file}")).output();
        // A compiler answers with the bare name if it finds nothing.
        output.is_ok_and(|output| output.stdout.contains(&b'/'))
    };
    if let Some(missing) = NEEDED.iter().find(|file| !is_there(file)) {
        println!("cargo::warning={missing} is not installed: the command will start more slowly");
        return Ok(());
    }
    let scripts = out.join("static");
    let failed = |error| format!("cannot write to {}: {error}", scripts.display());
    fs::create_dir_all(&scripts).map_err(failed)?;
    for (name, script) in LIBRARIES {
        fs::write(scripts.join(name), script).map_err(failed)?;
    }
    // For the command alone: the programs of the tests link as ever.
    println!("cargo::rustc-link-arg-bins=-L{}", scripts.display());
    println!("cargo::rustc-link-arg-bins=-static");
    println!("cargo::rustc-link-arg-bins=-no-pie");
    Ok(())
}
