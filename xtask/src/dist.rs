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

fn build() -> Result<PathBuf> {
    setup::for_build()?;
    command::run(&mut command::cargo(["build", "--release", "--package", "ns-trace"])?)?;
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
    fs::create_dir_all(stage.join("etc/ns-trace/config.d"))?;
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
