//! `xtask arch`: whether the probes compile for the architectures that this machine is not.

use std::{env, process::ExitCode};

use anyhow::{Error, Result, ensure};

use crate::{command, probes, setup, usage};

/// Runs the verb: for the architecture that is named, or for all but the machine's own, which every
/// build of ns-trace compiles them for.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let others = probes::ARCHITECTURES.into_iter().filter(|arch| *arch != env::consts::ARCH);
    let wanted: Vec<&str> = match args {
        [] => others.collect(),
        [one] => vec![one],
        _ => return Ok(usage()),
    };
    setup::for_build()?;
    for arch in wanted {
        let package = command::root()?.join("ns-trace-ebpf");
        let directory = command::target()?.join("probes").join(arch);
        let objects = probes::build(&package, arch, &directory).map_err(Error::msg)?;
        for object in probes::OBJECTS.map(|name| objects.join(name)) {
            ensure!(object.is_file(), "cargo left no {}", object.display());
        }
        println!("the probes compile for {arch}");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_architecture_is_refused() {
        let refused = probes::build("nowhere".as_ref(), "riscv64", "nowhere".as_ref());
        assert_eq!(
            refused.unwrap_err(),
            "ns-trace runs on x86_64 and aarch64: its probes do not know the registers of riscv64"
        );
    }
}
