//! Running programs: whatever changes or checks something is printed before it runs.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// The root of the repository.
pub(crate) fn root() -> Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask …`")?;
    let root = Path::new(&package).parent().map(Path::to_owned);
    root.context("the xtask package lies outside of a repository")
}

/// Where cargo leaves what it builds.
pub(crate) fn target() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(root()?.join(target))
}

/// A program that runs in the root of the repository.
pub(crate) fn program<S: AsRef<OsStr>>(
    name: &str,
    args: impl IntoIterator<Item = S>,
) -> Result<Command> {
    let mut command = Command::new(name);
    command.current_dir(root()?).args(args);
    forget_cargo(&mut command);
    Ok(command)
}

/// The cargo that runs us.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Command> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    program(&cargo, args)
}

/// Takes away what `cargo run` told us about ourselves: it is wrong for every other program, and
/// makes an inner cargo build things again.
pub(crate) fn forget_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

/// Prints a command and runs it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(())
}

/// The output of a command that only looks; None if it cannot run or fails.
pub(crate) fn ask<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Option<String> {
    let output = Command::new(name).args(args).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// A command as it would be typed into a shell in the root of the repository.
pub(crate) fn show(command: &Command) -> String {
    let environment = command.get_envs().filter_map(|(name, value)| {
        let value = quote(value?);
        Some(format!("{}={value}", name.to_string_lossy()))
    });
    // Where cargo lies differs from machine to machine and matters to nobody.
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = [name].into_iter().chain(command.get_args()).map(quote);
    let shown = environment.chain(words).collect::<Vec<_>>().join(" ");
    match root() {
        Ok(root) => shown.replace(&format!("{}/", root.display()), ""),
        Err(_) => shown,
    }
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=+./:,@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = Command::new("/opt/cargo");
        command.args(["doc", "--no-deps", "it's"]).env("RUSTDOCFLAGS", "-D warnings");
        command.env_remove("CARGO_PKG_NAME");
        assert_eq!(show(&command), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'");
    }
}
