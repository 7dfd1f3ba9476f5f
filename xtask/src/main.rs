//! Set-up, build, tests and everything around the code: one file per verb.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "xtask talks to the person who runs it"
)]

mod arch;
mod bench;
mod btf;
mod build;
mod churn;
mod clock;
mod command;
#[path = "../../ns-trace/build/compiler.rs"]
mod compiler;
mod dist;
#[path = "../../ns-trace/tests/churn.rs"]
mod life;
#[path = "../../ns-trace/build/probes.rs"]
mod probes;
mod process;
mod run;
mod schema;
mod setup;
mod soak;
mod test;
mod tested;
mod tidy;
mod tracer;
mod vm;

use std::{env, process::ExitCode};

use anyhow::Result;

const USAGE: &str = "\
Usage: cargo xtask VERB

  setup [--tests]       install what the build (and the tests) need; does nothing if all is there
  build [--release]     set up and build everything
  run [ARGS...]         set up, build and run ns-trace with ARGS
  test                  set up and run every check and test there is
  arch [ARCHITECTURE]   compile the probes for the other architectures that they know
  vm [--kernel 5.10|6.1|6.12|7|6.12-arm64|7-arm64] [--backend fentry|kprobe|tracepoint]
     [--timeout SECONDS] [FILTER]
                        run the room tests in virtual machines, one per kernel and
                        backend; those of arm64 only if they are asked for
  bench [--quick] [--only getppid|exec|unshare|storm|decode|latency|start|list|create|serve|fentry] [--peers] [--readme]
                        measure what tracing costs; --peers: and other tracers that are installed
  soak [MINUTES] [--seed N]
                        trace a random life in namespaces and compare the events with /proc
  churn [--minutes N] [--seed N] [--escape] [FILE]
                        make up a recording of ordinary life on a machine with containers, to try rules on
  tidy                  check the rules of the house that no compiler knows
  schema                rewrite the checked-in schema, CLI reference and man pages from the types
  dist [--program FILE] build the Debian package with its unit, and YAML for Kubernetes, under target/dist
  btf [FILE]            print where this kernel (or a BTF file) keeps what the probes read
  btf cut [KERNEL FILE] cut that from a kernel's BTF (KERNEL: raw BTF, vmlinux, vmlinuz or a version
                        that `vm` knows); without words, all in ns-trace/src/probe/fixtures again";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    dispatch(&args).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let (verb, rest) = args.split_first().map_or(("", args), |(verb, rest)| (verb.as_str(), rest));
    match verb {
        "setup" => setup::main(rest),
        "build" => build::main(rest),
        "run" => run::main(rest),
        "test" => test::main(rest),
        "arch" => arch::main(rest),
        "vm" => vm::main(rest),
        "bench" => bench::main(rest),
        // Not for people: parts of `bench`, each a process of its own.
        bench::worker::VERB => bench::worker::main(rest),
        bench::crowd::VERB => bench::crowd::main(rest),
        bench::floor::VERB => bench::floor::main(rest),
        bench::list::VERB => bench::list::main(rest),
        bench::peer::VERB => bench::peer::main(rest),
        bench::emulated::VERB => bench::emulated::main(rest),
        "soak" => soak::main(rest),
        "churn" => churn::main(rest),
        "tidy" => tidy::main(rest),
        "schema" => schema::main(rest),
        "dist" => dist::main(rest),
        "btf" => btf::main(rest),
        _ => Ok(usage()),
    }
}

/// What to print when the words make no sense.
fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
