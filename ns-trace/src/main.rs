//! The command `ns-trace`.

use std::process::ExitCode;

use ns_trace::{
    cli::{Called, Cli},
    cmd,
};

fn main() -> ExitCode {
    let called = Called::now();
    match Cli::read(&called) {
        Ok(cli) => cmd::run(&called, &cli),
        Err(error) => cmd::refuse(&called, &error),
    }
}
