//! `ns-trace exec`: from the options of nsexec(1) to a plan.

use std::ffi::OsString;

use super::How;
use crate::{
    cli::ExecArgs,
    model::{Flags, Kind},
    plan::{Environment, Exec, Fork, Freezer, Identity, Pause, PidFile, Plan, Step, Unshare},
    report::Failure,
};

/// What runs if no program is named.
const SHELL: &str = "/bin/sh";

/// Makes the plan.
#[expect(clippy::unnecessary_wraps, reason = "all plans are carried out alike")]
pub(super) fn plan(args: &ExecArgs) -> Result<(Plan, How), Failure> {
    let kinds = [
        (Kind::Mnt, args.mount || args.pid),
        (Kind::Net, args.net),
        (Kind::Uts, args.uts),
        (Kind::User, args.user),
        (Kind::Ipc, args.ipc),
        (Kind::Pid, args.pid),
    ];
    let bits = kinds.iter().filter(|(_, is_wanted)| *is_wanted);
    let bits = bits.fold(args.flags.unwrap_or(0), |bits, (kind, _)| bits | kind.flag());
    let flags = Flags::from_bits(bits);
    let mut plan = Plan::default();
    if args.clone {
        plan.push(Step::Fork(Fork { flags, ..Fork::default() }));
    } else {
        plan.push(Step::Fork(Fork::default()));
        if flags.bits() != 0 {
            plan.push(Step::Unshare(Unshare { flags }));
        }
    }
    if args.freezer {
        plan.push(Step::Freezer(Freezer {}));
    }
    plan.steps.extend(args.pid_file.clone().map(|file| Step::PidFile(PidFile { file })));
    if args.wait {
        plan.push(Step::Pause(Pause {}));
    }
    if args.setgid.is_some() || args.setuid.is_some() {
        plan.push(Step::Identity(Identity { uid: args.setuid, gid: args.setgid }));
    }
    let command = match &*args.command {
        [] => vec![OsString::from(SHELL)],
        command => command.to_vec(),
    };
    plan.push(Step::Exec(Exec { command, environment: Environment::Inherit }));
    Ok((plan, How::new(args.dry_run, args.json)))
}
