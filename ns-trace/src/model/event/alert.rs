//! What rules say.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{NsInfo, Process};

/// A rule matched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// The id of the rule.
    pub rule: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// Numbers of MITRE ATT&CK, such as `T1611`, and other words.
    pub tags: Arc<[Arc<str>]>,
    /// What happened, for people.
    pub message: String,
    /// The `seq` of the event that made the rule match; null if that event is not in the stream.
    pub cause_seq: Option<u64>,
    /// How many alerts of this rule about the same process were held back since the last one, by the
    /// limit of the rule's rate. Absent is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u64>,
    /// The namespace that it is about; absent if it is about none or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns: Option<NsInfo>,
    /// The task that it is about; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Arc<Process>>,
}

/// How bad it is that a rule matched, the least first.
#[derive(
    Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Unusual, mostly harmless.
    Low,
    /// Worth a look.
    Medium,
    /// Probably an attack or a serious mistake.
    High,
    /// An attack, unless somebody is testing.
    Critical,
}

impl Severity {
    /// Every severity, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}
