//! Command line arguments, those of runc.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What engines look at: the specification's version, and the features in the way crun lists them.
const VERSION: &str = concat!(
    "version ",
    env!("CARGO_PKG_VERSION"),
    "\nspec: 1.2.0\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP"
);

/// Run containers from OCI bundles, as runc does.
#[derive(Debug, Parser)]
#[command(name = "skiff oci", disable_help_subcommand = true, version = VERSION)]
pub(super) struct Args {
    /// Where the state of containers is kept [default: /run/skiff/oci, or $XDG_RUNTIME_DIR/skiff/oci].
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// File to append messages to, beside stderr.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Format of the log file: text or json.
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
    /// Say on stderr what is done differently than the configuration asks.
    #[arg(long)]
    pub debug: bool,
    /// Accepted and ignored: whether the user is root is seen.
    #[arg(long, value_name = "true|false|auto")]
    pub rootless: Option<String>,
    /// crun's word for the choice of the cgroup driver: cgroupfs, or disabled for no cgroup at all.
    #[arg(long, default_value = "cgroupfs", value_parser = ["cgroupfs", "systemd", "disabled"])]
    pub cgroup_manager: String,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a config.json to start from.
    Spec(Spec),
    /// Create a container, whose process waits for `start`.
    Create(Create),
    /// Let a created container run.
    Start { id: String },
    /// Create a container, start it, and unless detached wait for it and remove it.
    Run(Run),
    /// Print the state of a container as JSON.
    State { id: String },
    /// Send a signal to a container's first process.
    Kill(Kill),
    /// Remove a stopped container.
    Delete(Delete),
    /// Run a process in a running container.
    Exec(Exec),
    /// List containers.
    List(List),
    /// List the processes of a container.
    Ps {
        id: String,
        /// Arguments for ps, of which none is used.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Print what this runtime can do as JSON.
    Features,
}

#[derive(Debug, clap::Args)]
pub(super) struct Spec {
    /// Directory to write to.
    #[arg(short, long, default_value = ".")]
    pub bundle: PathBuf,
    /// For an ordinary user.
    #[arg(long)]
    pub rootless: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Directory with config.json.
    #[arg(short, long, default_value = ".")]
    pub bundle: PathBuf,
    /// Configuration, relative to the bundle (as with crun).
    #[arg(short = 'f', long, default_value = "config.json")]
    pub config: PathBuf,
    /// Unix socket that is sent the controlling end of the terminal.
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// File to write the process id to.
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// Move the root file system to / instead of pivoting (on an initramfs).
    #[arg(long)]
    pub no_pivot: bool,
    /// Accepted and ignored: sessions get no keyring of their own.
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Descriptors from 3 on to pass: only 0 is supported.
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
    pub id: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Do not wait for its end.
    #[arg(short, long)]
    pub detach: bool,
    /// Do not remove it at its end.
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub create: Create,
}

#[derive(Debug, clap::Args)]
pub(super) struct Kill {
    /// To all processes of the container.
    #[arg(short, long)]
    pub all: bool,
    pub id: String,
    /// Name or number.
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Kill it first, and do not mind when it does not exist.
    #[arg(short, long)]
    pub force: bool,
    /// Remove every container whose id matches this extended regular expression (as with crun).
    #[arg(long)]
    pub regex: bool,
    pub id: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    /// Do not wait for its end.
    #[arg(short, long)]
    pub detach: bool,
    /// Give it a terminal.
    #[arg(short, long)]
    pub tty: bool,
    /// User and group, `uid[:gid]`.
    #[arg(short, long)]
    pub user: Option<String>,
    /// Additional group.
    #[arg(short = 'g', long = "additional-gids")]
    pub additional_gids: Vec<u32>,
    /// Working directory.
    #[arg(long)]
    pub cwd: Option<PathBuf>,
    /// Environment variable, `NAME=value`.
    #[arg(short, long)]
    pub env: Vec<String>,
    /// File with an OCI process instead of arguments.
    #[arg(short, long)]
    pub process: Option<PathBuf>,
    /// File to write the process id to.
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
    /// Unix socket that is sent the controlling end of the terminal.
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// Add a capability.
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// The process may not gain privileges.
    #[arg(long)]
    pub no_new_privs: bool,
    pub id: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only ids.
    #[arg(short, long)]
    pub quiet: bool,
    /// table or json.
    #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
    pub format: String,
}
