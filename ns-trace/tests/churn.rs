//! An hour in the life of a machine that runs containers, as `trace -o json --tasks` records it.
//!
//! Made up, the same for the same seed: containers and pods come and go, services start in their
//! sandboxes, people log in, browse and build, jobs run. Nothing of it is an attack, unless asked for.
//! Both `cargo xtask churn` and the tests of rules make it.

#[path = "churn/container.rs"]
mod container;
#[path = "churn/host.rs"]
mod host;
#[path = "churn/machine.rs"]
mod machine;
#[path = "churn/task.rs"]
mod task;

use self::machine::Machine;

/// Something that happens, whole.
type Happening = fn(&mut Machine);

/// What happens, and after how many seconds again on average.
const LIFE: [(Happening, u32); 14] = [
    (container::starts, 45),
    (container::is_asked_for_its_health, 8),
    (container::pod_starts, 90),
    (container::agent_looks_into_pods, 30),
    (container::builds_an_image, 400),
    (container::browses, 300),
    (host::service_starts, 60),
    (host::job_runs, 200),
    (host::user_logs_in, 150),
    (host::user_browses, 40),
    (host::user_runs_a_container, 180),
    (host::user_opens_a_snap, 240),
    (host::administrator_looks_into_a_container, 600),
    (host::program_is_refused, 30),
];

/// A recording of so many minutes; with somebody leaving a container in the middle if `escape`.
pub(crate) fn recording(seed: u64, minutes: u32, escape: bool) -> String {
    let mut machine = Machine::new(seed);
    let seconds = minutes * 60;
    for (happens, every) in LIFE {
        let mut second = machine.random(u64::from(every));
        while second < u64::from(seconds) {
            machine.go_to(second);
            happens(&mut machine);
            second += 1 + machine.random(2 * u64::from(every));
        }
    }
    if escape {
        machine.go_to(u64::from(seconds / 2));
        container::escapes(&mut machine);
    }
    machine.recording()
}
