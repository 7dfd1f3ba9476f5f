//! What real kernels say of themselves: the small part of their BTF that the probes ask for.
//!
//! A new question (a member, a function) makes the fixtures stale; then `cargo xtask btf cut` cuts them
//! again from the BTF of the kernels below, and offsets.txt gets a line.

mod cut;
mod noise;
mod preempting;
mod prototypes;
mod table;
mod types;

use ns_trace_common::Helpers;

use self::cut::{Questions, cut};
use super::{
    abilities::Abilities,
    btf::Btf,
    coverage,
    offsets::{Layout, STRUCTS, resolve},
    plan::Plan,
};

/// A kernel.
struct Fixture {
    /// The name of its file, and of its column in the table of offsets.
    name: &'static str,
    arch: &'static str,
    version: (u32, u32),
    btf: &'static [u8],
}

macro_rules! fixtures {
    ($($(#[$doc:meta])+ $constant:ident $name:literal $arch:literal ($version:expr),)+) => {
        $($(#[$doc])+
        const $constant: Fixture = Fixture {
            name: $name,
            arch: $arch,
            version: $version,
            btf: include_bytes!(concat!("fixtures/", $name, ".btf")),
        };)+

        const FIXTURES: &[Fixture] = &[$($constant),+];
    };
}

fixtures! {
    /// Debian 11: 5.10.0-32-cloud-amd64 (5.10.223). In its security archive's 5.10.0-46 (5.10.262)
    /// most of `struct net` lies 8 bytes further on, behind the new member `defer_free_list`.
    V5_10 "5.10-x86_64" "x86_64" ((5, 10)),
    /// Debian 12: 6.1.0-56-cloud-amd64.
    V6_1 "6.1-x86_64" "x86_64" ((6, 1)),
    /// Debian 12, backports: 6.12.117+deb12-cloud-amd64.
    V6_12 "6.12-x86_64" "x86_64" ((6, 12)),
    /// No distribution's: a hardened 6.18.44 without kprobes.
    V6_18 "6.18-x86_64" "x86_64" ((6, 18)),
    /// Debian 14: 7.2.13+deb14-cloud-amd64.
    V7_2 "7.2-x86_64" "x86_64" ((7, 2)),
    /// Debian 13: 6.12.117+deb13-cloud-arm64.
    V6_12_ARM "6.12-aarch64" "aarch64" ((6, 12)),
    /// Debian 14: 7.2.13+deb14-cloud-arm64.
    V7_2_ARM "7.2-aarch64" "aarch64" ((7, 2)),
}

impl Fixture {
    fn known(&self) -> Known {
        let wanted = [Plan::functions(), coverage::functions().to_vec()].concat();
        let btf = Btf::parse(self.btf, &STRUCTS, &wanted).unwrap();
        let found = wanted.into_iter().filter_map(|name| Some((name, btf.function(name)?)));
        let (functions, function_ids) = found.unzip();
        let offsets = resolve(&btf).unwrap();
        let layout = Layout { offsets, functions, function_ids, controllers: Vec::new() };
        let since = |version| u32::from(self.version >= version);
        let helpers = Helpers { current_task_btf: since((5, 11)), task_pt_regs: since((5, 15)) };
        let abilities = Abilities { helpers, loops: self.version >= (5, 17) };
        Known { version: self.version, layout, abilities }
    }

    /// Fails if something is asked of kernels that was not when this one was cut.
    fn check(&self) {
        let known: Vec<String> =
            types::Types::parse(self.btf).unwrap().strings().map(str::to_owned).collect();
        let place = format!("ns-trace/src/probe/fixtures/{}.btf", self.name);
        for text in Questions::of(self.btf).texts() {
            assert!(
                known.contains(&text),
                "{place} was cut before `{text}` came up: \
                 run `cargo xtask btf cut`, or `cargo xtask btf cut KERNEL {place}`",
            );
        }
        resolve(&Btf::parse(self.btf, &STRUCTS, &[]).unwrap()).unwrap();
        assert!(
            cut(self.btf) == self.btf,
            "{place} holds more than is asked for: run `cargo xtask btf cut`, or `cargo xtask btf cut {place} {place}`",
        );
    }
}

/// What is known of a kernel without running it.
pub(crate) struct Known {
    /// Major and minor.
    pub(crate) version: (u32, u32),
    /// Its offsets and functions.
    pub(crate) layout: Layout,
    /// What its BPF can do, by its version.
    pub(crate) abilities: Abilities,
}

/// Every kernel of this architecture, oldest first.
pub(crate) fn known() -> Vec<Known> {
    let own = FIXTURES.iter().filter(|fixture| fixture.arch == std::env::consts::ARCH);
    own.map(Fixture::known).collect()
}

#[test]
fn fixtures_are_fresh() {
    for fixture in FIXTURES {
        fixture.check();
    }
}
