//! What clients ask, one line of JSON.

use serde::{Deserialize, Serialize};

use crate::{
    model::{Kind, Selector, Want},
    serve::past::Question,
};

/// The version of the protocol; another one is refused.
pub const VERSION: u32 = 3;
/// The longest line.
pub const LONGEST: usize = 64 << 10;

/// A request with the version that it is written in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The version of the protocol.
    pub v: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Ask {
    /// What exists, as far as it is wanted: behind the first line of the answer are the bytes of
    /// [`pack`](super::pack::pack), up to its end.
    Look(Want),
    /// All about what is named, as [`about`](crate::pipeline::about) finds it, in the same bytes.
    About(Selector),
    /// What happens from now on, until the client goes.
    Trace(Trace),
    /// What happened, as far as the history tells.
    Past(Question),
}

/// Which events a client wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trace {
    /// Only those for which this expression is true.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// Only about these types of namespace.
    pub types: Vec<Kind>,
    /// Whether they must have fork, exec and exit among them.
    pub tasks: bool,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// A sentence, if it is no request of this version.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        let request: Self =
            serde_json::from_slice(line).map_err(|error| format!("no request: {error}"))?;
        if request.v != VERSION {
            return Err(format!("version {} is not spoken here, but {VERSION}", request.v));
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        model::{Slot, Time},
        serve::past::{Subject, Wanted},
    };

    #[test]
    fn requests_are_read_as_they_are_written() {
        let trace = Trace { filter: Some("seq > 1".to_owned()), ..Trace::default() };
        let wanted = Wanted { about: Some(Subject::Process(7)), ..Wanted::default() };
        let questions = [
            Question::Events(Box::new(wanted)),
            Question::At(None),
            Question::Diff(Time(0), Time(1)),
            Question::Who(Subject::Slot(7, Slot::Net)),
        ];
        let asks = questions.map(Ask::Past);
        for ask in [Ask::Look(Want::ALL), Ask::Trace(trace)].into_iter().chain(asks) {
            let request = Request { v: VERSION, ask };
            let line = serde_json::to_vec(&request).unwrap();
            assert_eq!(Request::parse(&line), Ok(request));
        }
    }

    proptest! {
        /// Whatever comes, it is refused or understood; what is understood is read as it is written.
        #[test]
        fn no_line_is_too_strange(
            junk in any::<Vec<u8>>(),
            at in any::<prop::sample::Index>(),
            is_look in any::<bool>(),
        ) {
            let ask = if is_look { Ask::Look(Want::ALL) } else { Ask::Trace(Trace::default()) };
            let mut line = serde_json::to_vec(&Request { v: VERSION, ask }).unwrap();
            prop_assert!(Request::parse(&junk).is_err());
            let at = at.index(line.len());
            line.splice(at..(at + junk.len() / 8).min(line.len()), junk);
            if let Ok(request) = Request::parse(&line) {
                let again = serde_json::to_vec(&request).unwrap();
                prop_assert_eq!(Request::parse(&again), Ok(request));
            }
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for line in [
            &b""[..],
            b"{}",
            b"list\n",
            b"\xff",
            br#"{"v":1,"ask":{"trace":{}}}"#,
            br#"{"v":3,"ask":{"trace":{"colour":1}}}"#,
            br#"{"v":3,"ask":{"kill":{}}}"#,
            br#"{"v":3,"ask":{"trace":{}},"more":1}"#,
        ] {
            assert!(Request::parse(line).is_err(), "{line:?}");
        }
        assert!(Request::parse(br#"{"v":3,"ask":{"trace":{}}}"#).is_ok());
    }
}
