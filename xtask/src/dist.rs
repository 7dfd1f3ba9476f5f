//! `xtask dist`: what is handed to others: a Debian package, the unit, and YAML for Kubernetes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup, usage};

/// Which completion script goes where.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/ns-trace"),
    ("zsh", "usr/share/zsh/vendor-completions/_ns-trace"),
    ("fish", "usr/share/fish/vendor_completions.d/ns-trace.fish"),
];

/// Some of what is in the package, each with its mode.
const CONTENTS: [(&str, &str); 8] = [
    ("-rwxr-xr-x", "usr/bin/ns-trace"),
    ("-rw-r--r--", "usr/lib/systemd/system/ns-trace.service"),
    ("-rw-r--r--", "usr/lib/sysusers.d/ns-trace.conf"),
    ("-rw-r--r--", "usr/share/man/man8/ns-trace-serve.8.gz"),
    ("-rw-r--r--", "usr/share/bash-completion/completions/ns-trace"),
    ("-rw-r--r--", "usr/share/doc/ns-trace/config.md"),
    ("drwxr-xr-x", "etc/ns-trace/config.d/"),
    ("drwxr-xr-x", "etc/ns-trace/rules.d/"),
];

/// Runs the verb; with `--program FILE` that is packed instead of a release build.
pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let program = match args {
        [] => build()?,
        [option, file] if option == "--program" => PathBuf::from(file),
        _ => return Ok(usage()),
    };
    let out = command::target()?.join("dist");
    let stage = out.join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    let version = env!("CARGO_PKG_VERSION");
    fill(&stage, &program)?;
    let architecture = read(command::program("dpkg", ["--print-architecture"])?)?;
    control(&stage, version, architecture.trim())?;
    let package = out.join(format!("ns-trace_{version}_{}.deb", architecture.trim()));
    let mut deb = command::program("dpkg-deb", ["--root-owner-group", "--build"])?;
    command::run(deb.arg(&stage).arg(&package))?;
    examine(&package, &stage)?;
    fs::remove_dir_all(&stage)?;
    let source = command::root()?.join("xtask/dist");
    fs::copy(source.join("ns-trace.service"), out.join("ns-trace.service"))?;
    let yaml = fs::read_to_string(source.join("daemonset.yaml"))?.replace("VERSION", version);
    fs::write(out.join("ns-trace.yaml"), yaml)?;
    for file in [&package, &out.join("ns-trace.service"), &out.join("ns-trace.yaml")] {
        println!("{}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that the package has what it must, and the unit by systemd's own rules if that is here.
fn examine(package: &Path, stage: &Path) -> Result<()> {
    let listed = read(command::program("dpkg-deb", ["--contents"])?.arg(package))?;
    for (mode, path) in CONTENTS {
        let is_it = |line: &str| line.starts_with(mode) && line.ends_with(&format!(" ./{path}"));
        ensure!(listed.lines().any(is_it), "no {path} with {mode} in the package:\n{listed}");
        let owner = listed.lines().filter(|line| !line.contains(" root/root ")).count();
        ensure!(owner == 0, "not everything is root's:\n{listed}");
    }
    let mut verify = command::program("systemd-analyze", ["verify", "--man=no"])?;
    // The program that it names is not installed here.
    let unit = fs::read_to_string(stage.join("usr/lib/systemd/system/ns-trace.service"))?;
    let program = stage.join("usr/bin/ns-trace");
    let unit = unit.replace("/usr/bin/ns-trace", &program.to_string_lossy());
    let copy = stage.join("ns-trace.service");
    fs::write(&copy, unit)?;
    let said = match verify.arg(&copy).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("xtask: the unit is not verified: there is no systemd-analyze");
            return Ok(());
        }
        said => said?,
    };
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    // Of other units it may say something too.
    let is_right = said.status.success() && !told.contains("ns-trace.service");
    ensure!(is_right, "the unit is wrong: {told}");
    Ok(())
}

fn build() -> Result<PathBuf> {
    setup::for_build()?;
    let mut build = command::cargo(["build", "--release", "--package", "ns-trace"])?;
    // Out of an archive of the source nobody can tell.
    let commit = command::program("git", ["rev-parse", "HEAD"]).and_then(read).unwrap_or_default();
    command::run(build.env("NS_TRACE_COMMIT", commit.trim()))?;
    Ok(command::target()?.join("release/ns-trace"))
}

/// Lays the files of the package out.
fn fill(stage: &Path, program: &Path) -> Result<()> {
    let root = command::root()?;
    let put = |from: &Path, to: &str, mode: u32| place(stage, to, &fs::read(from)?, mode);
    put(program, "usr/bin/ns-trace", 0o755).with_context(|| program.display().to_string())?;
    let source = root.join("xtask/dist");
    put(&source.join("ns-trace.service"), "usr/lib/systemd/system/ns-trace.service", 0o644)?;
    put(&source.join("ns-trace.sysusers"), "usr/lib/sysusers.d/ns-trace.conf", 0o644)?;
    put(&root.join("LICENSE-MIT"), "usr/share/doc/ns-trace/copyright", 0o644)?;
    put(&root.join("ns-trace/doc/config.md"), "usr/share/doc/ns-trace/config.md", 0o644)?;
    put(&root.join("ns-trace/doc/rules.md"), "usr/share/doc/ns-trace/rules.md", 0o644)?;
    for directory in ["config.d", "rules.d"] {
        fs::create_dir_all(stage.join("etc/ns-trace").join(directory))?;
    }
    for page in fs::read_dir(root.join("ns-trace/doc/man"))? {
        let page = page?;
        let to = format!("usr/share/man/man8/{}", page.file_name().to_string_lossy());
        put(&page.path(), &to, 0o644)?;
        command::run(command::program("gzip", ["-9n"])?.arg(stage.join(to)))?;
    }
    for (shell, to) in SHELLS {
        let mut script = command::program(&program.to_string_lossy(), ["completions", shell])?;
        let script = script.output()?;
        ensure!(script.status.success(), "no completions for {shell}");
        place(stage, to, &script.stdout, 0o644)?;
    }
    Ok(())
}

/// Writes what dpkg wants to know of the package.
fn control(stage: &Path, version: &str, architecture: &str) -> Result<()> {
    let size = read(command::program("du", ["-sk"])?.arg(stage))?;
    let size = size.split_whitespace().next().context("no size")?.to_owned();
    let text = format!(
        "Package: ns-trace\nVersion: {version}\nArchitecture: {architecture}\nSection: admin\n\
         Priority: optional\nInstalled-Size: {size}\nMaintainer: The ns-trace developers \
         <ns-trace@localhost>\nSuggests: systemd\nDescription: Linux namespaces, live\n Traces how \
         namespaces are made, entered and freed, lists those that exist with\n all that holds them, \
         and makes, enters and names them.\n"
    );
    place(stage, "DEBIAN/control", text.as_bytes(), 0o644)?;
    let source = command::root()?.join("xtask/dist");
    for script in ["postinst", "prerm"] {
        let to = format!("DEBIAN/{script}");
        place(stage, &to, &fs::read(source.join(script))?, 0o755)?;
    }
    Ok(())
}

fn place(stage: &Path, to: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let path = stage.join(to);
    fs::create_dir_all(path.parent().context("no directory")?)?;
    fs::write(&path, bytes)?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(mode))?)
}

/// What a program says.
fn read(mut command: impl std::borrow::BorrowMut<std::process::Command>) -> Result<String> {
    let output = command.borrow_mut().output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
