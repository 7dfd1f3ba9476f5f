//! Records to JSON lines, inside the product's own code: `ns-trace/benches/decode.rs` measures, this
//! reads what it says.

use anyhow::{Context as _, Result, ensure};

use super::table::Row;
use crate::command;

/// Millions of events per second, by how much of each is written.
const REACH: [(&str, f64); 2] = [("full", 0.8), ("compact", 1.5)];

/// One line of the benchmark: millions of events per second.
#[derive(Debug, PartialEq)]
struct Rate {
    load: String,
    fields: String,
    median: f64,
    least: f64,
    most: f64,
}

/// Measures the rows.
pub(super) fn rows() -> Result<Vec<Row>> {
    let args = ["bench", "--quiet", "--package", "ns-trace", "--bench", "decode"];
    let mut bench = command::cargo(args)?;
    eprintln!("$ {}", command::show(&bench));
    let output = bench.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the benchmark failed: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let rates: Vec<Rate> = text.lines().filter_map(parse).collect();
    let rate = |load: &str, fields: &str| {
        let found = rates.iter().find(|rate| rate.load == load && rate.fields == fields);
        found.with_context(|| format!("the benchmark says nothing of {load} {fields}: {text}"))
    };
    let mut rows = Vec::new();
    for (fields, reach) in REACH {
        let (storm, life, serde) =
            (rate("storm", fields)?, rate("life", fields)?, rate("storm", "serde_json")?);
        let peers = format!("serde_json alone, full record: {:.2} M/s", serde.median);
        rows.push(Row {
            what: format!("decode + JSON of a storm on one core, `--fields {fields}`"),
            reach: format!("≥ {reach} M events/s"),
            measured: format!(
                "{:.2} ({:.2}…{:.2}) M events/s; of mixed life {:.2}",
                storm.median, storm.least, storm.most, life.median
            ),
            peers: if fields == "full" { peers } else { String::new() },
            met: storm.median >= reach,
            ..Row::default()
        });
    }
    Ok(rows)
}

/// Reads `decode LOAD FIELDS MEDIAN LEAST MOST`, in events per second.
fn parse(line: &str) -> Option<Rate> {
    let mut words = line.strip_prefix("decode ")?.split_whitespace();
    let mut word = || words.next();
    let (load, fields) = (word()?.to_owned(), word()?.to_owned());
    let mut number = || word()?.parse().ok().map(|rate: f64| rate / 1e6);
    Some(Rate { load, fields, median: number()?, least: number()?, most: number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_benchmark_is_understood() {
        let rate = parse("decode storm full 1500000 1000000 2000000").unwrap();
        assert_eq!((rate.load.as_str(), rate.fields.as_str()), ("storm", "full"));
        assert_eq!(
            [rate.median, rate.least, rate.most].map(|rate| rate.to_string()),
            ["1.5", "1", "2"]
        );
        assert_eq!(parse("running 1 test"), None);
    }
}
