//! `xtask soak`: the random life of the room tests (`ns-trace/tests/soak.rs`), as long as you like,
//! with the best backend that the running kernel allows.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup, usage};

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Wish {
    minutes: f64,
    seed: u64,
}

/// Runs the verb.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let wish = match parse(args) {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            return Ok(usage());
        }
    };
    setup::for_build()?;
    let test = ["test", "--release", "--package", "ns-trace", "--test", "rooms", "--"];
    let mut cargo = command::cargo(test)?;
    cargo.args(["soak::random_life", "--nocapture"]);
    cargo.env("NS_TRACE_TEST_SECONDS", format!("{:.0}", wish.minutes * 60.0));
    cargo.env("NS_TRACE_TEST_SEED", wish.seed.to_string());
    println!("soak: {} minutes, seed {}", wish.minutes, wish.seed);
    let outcome = command::run(&mut cargo);
    println!("soak: seed {}", wish.seed);
    outcome.map(|()| ExitCode::SUCCESS)
}

fn parse(args: &[String]) -> Result<Wish> {
    let mut wish = Wish { minutes: 1.0, seed: fastrand::u64(..) };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if arg == "--seed" {
            wish.seed = args.next().context("--seed needs a number")?.parse()?;
        } else {
            wish.minutes = arg.parse().with_context(|| format!("`{arg}` is no time"))?;
        }
    }
    ensure!((0.1..=10_000.0).contains(&wish.minutes), "between 0.1 and 10000 minutes, please");
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wish = parse(&words("2.5 --seed 7")).unwrap();
        assert_eq!(wish, Wish { minutes: 2.5, seed: 7 });
        for text in ["0", "x", "--seed", "--seed x", "-1"] {
            assert!(parse(&words(text)).is_err(), "{text}");
        }
    }
}
