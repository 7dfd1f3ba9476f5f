//! Room tests: one file per command, all in one program that is also the init of `cargo xtask vm`.

mod init;

use libtest_mimic::{Arguments, Trial};

fn main() -> std::process::ExitCode {
    if init::is_init() {
        return init::run();
    }
    let trials = vec![Trial::test("kernel::has_a_version", || {
        let version = std::fs::read_to_string("/proc/version")?;
        if version.starts_with("Linux version ") { Ok(()) } else { Err(version.into()) }
    })];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
