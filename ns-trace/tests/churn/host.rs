//! Services, jobs, and people.

use super::{
    machine::Machine,
    task::{ALL, NONE, Task},
};

/// The shell of somebody who has logged in.
fn shell() -> Task {
    Task { ppid: 1_400, ..Task::daemon(1_500, "/usr/bin/bash") }.of_user(1000)
}

/// systemd starts a service in the sandbox that its unit asks for.
pub(super) fn service_starts(machine: &mut Machine) {
    const SERVICES: [(&str, &[&str]); 5] = [
        ("/usr/sbin/apache2", &["mnt"]),
        ("/usr/lib/systemd/systemd-hostnamed", &["mnt", "uts", "net", "ipc"]),
        ("/usr/bin/fwupd", &["mnt"]),
        ("/usr/sbin/named", &["mnt", "ipc"]),
        ("/usr/lib/systemd/systemd-timedated", &["user", "mnt", "net"]),
    ];
    let at = machine.random(SERVICES.len() as u64);
    let Some((exe, kinds)) = usize::try_from(at).ok().and_then(|at| SERVICES.get(at)) else {
        return;
    };
    let name: String = exe.rsplit('/').next().unwrap_or_default().chars().take(8).collect();
    let systemd = Task { ppid: 0, ..Task::daemon(1, "/usr/lib/systemd/systemd") };
    let mut service = machine.fork(&systemd).named(&format!("({name})"));
    let made = machine.unshare(&mut service, kinds);
    if let Some(user) = made.iter().find(|ns| ns["type"] == "user") {
        let helper = machine.fork(&systemd).named(&format!("({name})"));
        machine.map(&helper, user, &[[0, 0, 1], [33, 33, 1]]);
        machine.exit(&helper);
    }
    service = service.of_user(33);
    machine.exec(&mut service, &[exe]);
    machine.wait(30_000);
    machine.exit(&service);
    machine.gone(made);
}

/// What timers and cron start.
pub(super) fn job_runs(machine: &mut Machine) {
    let systemd = Task { ppid: 0, ..Task::daemon(1, "/usr/lib/systemd/systemd") };
    let mut job = machine.fork(&systemd).named("(logrotate)");
    let made = machine.unshare(&mut job, &["mnt"]);
    machine.exec(&mut job, &["/usr/sbin/logrotate", "/etc/logrotate.conf"]);
    for _ in 0..10 {
        let child = machine.spawn(&job, &["/bin/sh", "-c", "gzip x"]);
        machine.wait(10);
        machine.exit(&child);
    }
    machine.exit(&job);
    machine.gone(made);
    let cron = Task::daemon(600, "/usr/sbin/cron");
    let job = machine.fork(&cron).of_user(1000);
    let script = machine.spawn(&job, &["/bin/sh", "-c", "backup"]);
    machine.wait(2_000);
    machine.exit(&script);
    machine.exit(&job);
}

/// Somebody logs in, becomes root with sudo, installs something.
pub(super) fn user_logs_in(machine: &mut Machine) {
    let sshd = Task::daemon(650, "/usr/sbin/sshd");
    let session = machine.spawn(&sshd, &["/usr/sbin/sshd", "-R"]);
    let user = machine.fork(&session).of_user(1000);
    let bash = machine.spawn(&user, &["/bin/bash"]);
    machine.wait(2_000);
    // First a thing in a sandbox, then as root: one has nothing to do with the other.
    let bwrap = machine.spawn(&bash, &["/usr/bin/bwrap", "--unshare-all", "true"]);
    let (inside, made) = machine.clone_into(&bwrap, &["user", "mnt", "pid", "net", "ipc", "uts"]);
    machine.exit(&inside);
    machine.exit(&bwrap);
    machine.gone(made);
    let mut sudo = machine.spawn_setuid(&bash, &["/usr/bin/sudo", "apt", "install", "x"]);
    sudo = sudo.of_user(0);
    ALL.clone_into(&mut sudo.caps);
    let apt = machine.spawn(&sudo, &["/usr/bin/apt", "install", "x"]);
    machine.wait(5_000);
    for task in [&apt, &sudo, &bash, &user, &session] {
        machine.exit(task);
    }
}

/// A browser opens another tab: a process in its sandbox.
pub(super) fn user_browses(machine: &mut Machine) {
    let session = Task { ppid: 1_300, ..Task::daemon(1_600, "/opt/chrome/chrome") }.of_user(1000);
    let chrome = machine.spawn(&session, &["/opt/chrome/chrome", "--type=zygote"]);
    let (mut zygote, mut made) = machine.clone_into(&chrome, &["user", "pid", "net"]);
    machine.map(&zygote, &made[0].clone(), &[[1000, 1000, 1]]);
    let (inner, deeper) = machine.clone_into(&zygote, &["user", "pid"]);
    made.extend(deeper);
    machine.exec(&mut zygote, &["/proc/self/exe", "--type=renderer"]);
    machine.wait(90_000);
    machine.exit(&inner);
    machine.exit(&zygote);
    machine.exit(&chrome);
    machine.gone(made);
}

/// podman without root: a user namespace, its maps by setuid helpers, a container in it.
pub(super) fn user_runs_a_container(machine: &mut Machine) {
    let podman = machine.spawn(&shell(), &["/usr/bin/podman", "run", "alpine"]);
    let (mut child, mut made) = machine.clone_into(&podman, &["user", "mnt"]);
    for helper in ["/usr/bin/newuidmap", "/usr/bin/newgidmap"] {
        let helper = machine.spawn_setuid(&podman, &[helper, "9", "0", "1000", "1"]);
        machine.map(&helper, &made[0].clone(), &[[0, 1000, 1], [1, 100_000, 65_536]]);
        machine.exit(&helper);
    }
    ALL.clone_into(&mut child.caps);
    machine.exec(&mut child, &["/usr/bin/podman", "run", "alpine"]);
    let (mut app, more) = machine.clone_into(&child, &["mnt", "pid", "net", "ipc", "uts"]);
    made.extend(more);
    app.container = Some((machine.id(), "podman"));
    machine.exec(&mut app, &["/bin/sh"]);
    machine.wait(20_000);
    // Another command of it joins the first's namespaces.
    let mut again = machine.spawn(&shell(), &["/usr/bin/podman", "ps"]);
    machine.setns(&mut again, &[made[0].clone(), made[1].clone()], "other");
    machine.exit(&again);
    machine.exit(&app);
    machine.exit(&child);
    machine.exit(&podman);
    machine.gone(made);
}

/// A snap: a setuid program that makes the place for it.
pub(super) fn user_opens_a_snap(machine: &mut Machine) {
    let mut confine =
        machine.spawn_setuid(&shell(), &["/usr/lib/snapd/snap-confine", "snap.editor"]);
    let made = if machine.random(2) == 0 {
        machine.unshare(&mut confine, &["mnt"])
    } else {
        let place = machine.namespace("mnt");
        machine.setns(&mut confine, &[place], "other");
        Vec::new()
    };
    confine.euid = 1000;
    NONE.clone_into(&mut confine.caps);
    machine.exec(&mut confine, &["/snap/editor/bin/editor"]);
    machine.wait(40_000);
    machine.exit(&confine);
    machine.gone(made);
}

/// nsenter from the host.
pub(super) fn administrator_looks_into_a_container(machine: &mut Machine) {
    let root = Task { ppid: 1_700, ..Task::daemon(1_800, "/usr/bin/bash") };
    let mut nsenter = machine.spawn(&root, &["/usr/bin/nsenter", "-t", "900", "-a"]);
    let inside: Vec<_> = ["mnt", "net", "pid"].map(|kind| machine.namespace(kind)).into();
    machine.setns(&mut nsenter, &inside, "other");
    let look = machine.spawn(&nsenter, &["/bin/ps"]);
    machine.exit(&look);
    machine.exit(&nsenter);
}

/// Somebody tries whether it may, and does without.
pub(super) fn program_is_refused(machine: &mut Machine) {
    let (task, errno) = match machine.random(3) {
        0 => (shell(), "EPERM"),
        1 => (Task::daemon(1_900, "/usr/bin/tracker").of_user(1000), "EINVAL"),
        _ => (Task::daemon(950, "/usr/bin/app").of_user(1000), "EPERM"),
    };
    let child = machine.spawn(&task, &["/usr/bin/thing"]);
    machine.fail(&child, "unshare", &["net"], errno);
    machine.exit(&child);
}
