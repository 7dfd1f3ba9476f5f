//! `xtask churn`: a made-up recording of ordinary life on a machine with containers, to try rules on.

use std::{
    fs,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};

use crate::{life, usage};

/// What was asked for.
#[derive(Debug, Eq, PartialEq)]
struct Wish {
    minutes: u32,
    seed: u64,
    escape: bool,
    file: Option<String>,
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
    let recording = life::recording(wish.seed, wish.minutes, wish.escape);
    match &wish.file {
        Some(file) => {
            fs::write(file, recording).with_context(|| format!("cannot write {file}"))?;
        }
        None => io::stdout().write_all(recording.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(args: &[String]) -> Result<Wish> {
    let mut wish = Wish { minutes: 60, seed: 1, escape: false, file: None };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--seed" => wish.seed = args.next().context("--seed needs a number")?.parse()?,
            "--minutes" => {
                let minutes = args.next().context("--minutes needs a number")?;
                wish.minutes = minutes.parse()?;
            }
            "--escape" => wish.escape = true,
            _ => {
                ensure!(!arg.starts_with('-') && wish.file.is_none(), "what is `{arg}`?");
                wish.file = Some(arg.to_owned());
            }
        }
    }
    ensure!((1..=10_000).contains(&wish.minutes), "between 1 and 10000 minutes, please");
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let wish = parse(&words("--seed 7 --minutes 5 --escape x.ndjson")).unwrap();
        assert_eq!(
            wish,
            Wish { minutes: 5, seed: 7, escape: true, file: Some("x.ndjson".to_owned()) }
        );
        assert_eq!(parse(&[]).unwrap(), Wish { minutes: 60, seed: 1, escape: false, file: None });
        for wrong in ["--seed", "--seed x", "--minutes 0", "a b", "--what"] {
            assert!(parse(&words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_life() {
        let [one, same, other] = [3, 3, 4].map(|seed| life::recording(seed, 5, false));
        assert!(one == same && one != other && one.lines().count() > 500);
    }
}
