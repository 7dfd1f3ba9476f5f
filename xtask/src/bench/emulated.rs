//! What tracing by functions costs: in an emulated machine, since hardened kernels refuse it.
//!
//! The machine runs this very program as `xtask bench-guest`, which measures there and says its rows
//! in lines of JSON. An emulated processor tells nothing but ratios.

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{Bench, Wish, ratio, table::Row};
use crate::vm;

/// The verb that measures inside the machine.
pub(crate) const VERB: &str = "bench-guest";

/// What a line with a row starts with.
const ROW: &str = "bench-row ";

/// How much less is done there.
const HASTE: u64 = 20;

/// The loops, and the reach of the ratio: functions that nobody calls cost nothing. What a program
/// costs that does run says little, as an emulated processor is slow in other places.
const LOOPS: [(ratio::Ratio, Option<f64>); 3] =
    [(ratio::GETPPID, Some(1.02)), (ratio::EXEC, None), (ratio::UNSHARE, None)];

/// Measures in a virtual machine.
pub(super) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    vm::with_xtask(&[VERB], |line| rows.extend(line.strip_prefix(ROW).map(parse)))?;
    let rows = rows.into_iter().collect::<Result<Vec<_>>>()?;
    if rows.is_empty() {
        bail!("the machine measured nothing");
    }
    Ok(rows)
}

/// Measures inside the machine.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    if !args.is_empty() {
        bail!("not for people");
    }
    let mut bench = Bench::new(&Wish::default(), Path::new("/tmp"))?;
    bench.haste = HASTE;
    for (ratio, reach) in LOOPS {
        let ratio = ratio::Ratio { reach: reach.unwrap_or(f64::INFINITY), floor: false, ..ratio };
        let mut row = ratio.row(&mut bench)?;
        if reach.is_none() {
            row.reach.clear();
        }
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel = kernel.split(['+', '-']).next().unwrap_or_default();
        let what = format!("`{}` in QEMU, Linux {kernel}: {}", bench.backend.borrow(), row.what);
        println!("{ROW}{}", line(&Row { what, ..row }));
    }
    Ok(ExitCode::SUCCESS)
}

fn line(row: &Row) -> Value {
    let Row { what, reach, measured, noise, peers, met } = row;
    json!({"what": what, "reach": reach, "measured": measured, "noise": noise, "peers": peers, "met": met})
}

fn parse(line: &str) -> Result<Row> {
    let row: Value = serde_json::from_str(line).context("a row is no JSON")?;
    let text = |name: &str| {
        let text = row.get(name).and_then(Value::as_str);
        text.map(str::to_owned).with_context(|| format!("a row has no {name}"))
    };
    Ok(Row {
        what: text("what")?,
        reach: text("reach")?,
        measured: text("measured")?,
        noise: text("noise")?,
        peers: text("peers")?,
        met: row.get("met").and_then(Value::as_bool).context("a row has no verdict")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_crosses_the_console() {
        let row = Row { what: "a \"b\"".into(), met: true, ..Row::default() };
        let crossed = parse(&line(&row).to_string()).unwrap();
        assert_eq!((crossed.what, crossed.met), (row.what, true));
        assert!(parse("{}").is_err());
    }
}
