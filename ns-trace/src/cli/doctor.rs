//! `ns-trace doctor`.

use std::path::PathBuf;

use clap::Args;

/// Explain what this kernel lets ns-trace see, and why
///
/// Looks at the kernel, its settings and the capabilities of this process, tries what each backend
/// needs, and says which events it would see exactly, late or never. Changes nothing, unless to
/// clean up, and leaves nothing behind. Fails if no backend can run.
#[derive(Args, Debug)]
#[command(after_help = super::EXIT_STATUS)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(short = 'J', long)]
    pub json: bool,

    /// End probes that were left in the kernel, and remove what is kept about them
    #[arg(long, conflicts_with_all = ["json", "offsets", "btf"])]
    pub clean: bool,

    /// Print only the offsets that the probes use, one per line
    #[arg(long, conflicts_with = "json")]
    pub offsets: bool,

    /// Read the kernel's types from FILE instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}
