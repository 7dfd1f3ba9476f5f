//! What is said when the kernel refuses.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::Command,
};

use anyhow::{Result, ensure};

use super::place::Place;
use crate::{
    actor::syscall,
    stage::{Told, run},
};

/// Somebody without any right.
const NOBODY: u32 = 65534;

fn nobody(place: &Place, program: &str, words: &[&str]) -> Result<Told> {
    let mut command = Command::new(program);
    command.arg("create").args(words).uid(NOBODY).gid(NOBODY).current_dir("/");
    place.mark(&mut command);
    command.env("PATH", "/usr/bin:/bin");
    run(&mut command, "")
}

/// The step, what it was about, and the reason that was found by looking.
pub(super) fn reasons() -> Result<()> {
    let place = Place::new()?;
    let program = place.copy()?;
    for (words, parts) in [
        (
            &["-u", "true"][..],
            &["a new uts namespace", "EPERM", "CAP_SYS_ADMIN is missing", "(as user 65534)", "-Ur"]
                [..],
        ),
        (&["-S", "0", "true"], &["cannot become user 0", "EPERM", "CAP_SETUID is missing"]),
        (&["-G", "0", "true"], &["supplementary groups", "EPERM", "CAP_SETGID is missing"]),
        (&["-R", "/tmp", "true"], &["cannot make /tmp the root", "CAP_SYS_CHROOT is missing"]),
    ] {
        expect(&nobody(&place, &program, words)?, 1, parts)?;
    }
    let forbidden = nobody(&place, &program, &["-U", "/no/such"])?.status != 127;
    if !forbidden {
        for (words, parts) in [
            (
                &["-r", "-S", "5", "true"][..],
                &["cannot become user 5", "uid_map has 0 65534 1"][..],
            ),
            (&["-r", "-G", "0", "true"], &["EPERM", "setgroups is denied", "--map-auto"]),
            (&["-rm", "--mount-proc=/proc", "true"], &["mount proc on /proc", "EPERM", "hint: "]),
            (&["-r", "--map-users", "0:5:1", "true"], &["newuidmap", "ENOENT", "package uidmap"]),
            (&["--map-auto", "true"], &["is granted no range in /etc/subuid", "usermod"]),
        ] {
            // Where the mapper is installed it says its own.
            let told = nobody(&place, &program, words)?;
            if !(parts.contains(&"newuidmap") && told.stderr.contains("refused")) {
                expect(&told, if parts.contains(&"newuidmap") { 127 } else { 1 }, parts)?;
            }
        }
    }
    place.expect_nothing(&[])
}

/// Limits are per user namespace: in one of the test's own they can be tried.
pub(super) fn limits() -> Result<()> {
    let place = Place::new()?;
    let inner = super::program();
    let mut outer = place.create(&["-Ur", "--setup", "echo 0 > /proc/sys/user/max_uts_namespaces"]);
    let told = run(outer.arg("--").arg(&inner).args(["create", "-u", "true"]), "")?;
    expect(&told, 1, &["ENOSPC", "user.max_uts_namespaces is 0", "sysctl"])?;
    let mut outer = place.create(&["-Ur", "--setup", "echo 1 > /proc/sys/user/max_uts_namespaces"]);
    let twice = ["create", "-u", "--"];
    outer.arg("--").arg(&inner).args(twice).arg(&inner).args(twice).arg("true");
    let told = run(&mut outer, "")?;
    expect(
        &told,
        1,
        &["ENOSPC", "user 0 has used up", "max_uts_namespaces is 1", "; processes of user"],
    )?;
    place.expect_nothing(&[])
}

fn expect(told: &Told, status: i32, parts: &[&str]) -> Result<()> {
    ensure!(told.status == status && told.stdout.is_empty(), "{told:?}");
    for part in parts {
        ensure!(told.stderr.contains(part), "no `{part}` in {told:?}");
    }
    Ok(())
}

/// Ranges are mapped by newuidmap(1) and newgidmap(1) with the lines that they take, and what they
/// say is passed on.
pub(super) fn mapper_of_ranges() -> Result<()> {
    let place = Place::new()?;
    let program = place.copy()?;
    let bin = place.path("bin");
    fs::create_dir(&bin)?;
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o777))?;
    for (mapper, rest) in [("newuidmap", "exit 0"), ("newgidmap", "echo no range >&2; exit 1")] {
        let script = format!("#!/bin/sh\nshift\necho \"$@\" >> {bin}/log\n{rest}\n");
        let path = format!("{bin}/{mapper}");
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let words = ["-r", "--map-users=1:100001:9", "--map-groups=1:100001:9", "true"];
    let mut command = Command::new(program);
    command.arg("create").args(words).uid(NOBODY).gid(NOBODY).current_dir("/");
    place.mark(&mut command);
    command.env("PATH", format!("{bin}:/usr/bin:/bin"));
    let told = run(&mut command, "")?;
    if told.stderr.contains("CAP_SYS_ADMIN may make user namespaces") {
        return place.expect_nothing(&[]);
    }
    expect(
        &told,
        1,
        &["newgidmap refused to map `0 65534 1, 1 100001 9`: no range", "/etc/subgid"],
    )?;
    let log = fs::read_to_string(format!("{bin}/log"))?;
    ensure!(log == "0 65534 1 1 100001 9\n".repeat(2), "{log}");
    // What a create of ours made has not entered us.
    ensure!(syscall::unshare(0).is_ok());
    place.expect_nothing(&[])
}
