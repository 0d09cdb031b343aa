//! Command line arguments, those of runc.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Run containers from OCI bundles, as runc does.
#[derive(Debug, Parser)]
#[command(
    name = "skiff oci",
    disable_help_subcommand = true,
    disable_version_flag = true
)]
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
    /// Let systemd make the cgroups: `cgroupsPath` is then `slice:prefix:name`.
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// The same in crun's words; with `disabled` there are no cgroups.
    #[arg(long, default_value = "cgroupfs", value_parser = ["cgroupfs", "systemd", "disabled"])]
    pub cgroup_manager: String,
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// systemd is to make the cgroups.
    pub fn by_systemd(&self) -> bool {
        self.systemd_cgroup || self.cgroup_manager == "systemd"
    }
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
    /// Stop all processes of a container for a while.
    Pause { id: String },
    /// Let the processes of a paused container go on.
    Resume { id: String },
    /// Change the limits of a container.
    Update(Update),
    /// Print what a container uses, at intervals, and when the kernel kills a process of it for want of memory.
    Events(Events),
    /// Refused: process images can be neither written
    #[command(hide = true)]
    Checkpoint(Anything),
    /// nor read back.
    #[command(hide = true)]
    Restore(Anything),
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
        /// table (as ps prints it) or json (process ids).
        #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
        format: String,
        id: String,
        /// Arguments for ps instead of -ef.
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
    /// Unix socket that is sent a pidfd of the process.
    #[arg(long)]
    pub pidfd_socket: Option<PathBuf>,
    /// Move the root file system to / instead of pivoting (on an initramfs).
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    #[arg(long)]
    pub no_new_keyring: bool,
    /// How many descriptors, from 3 on, to pass to the process.
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
    /// Unix socket that is sent a pidfd of the process.
    #[arg(long)]
    pub pidfd_socket: Option<PathBuf>,
    /// Unix socket that is sent the controlling end of the terminal.
    #[arg(long)]
    pub console_socket: Option<PathBuf>,
    /// Add a capability.
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// The process may not gain privileges.
    #[arg(long)]
    pub no_new_privs: bool,
    /// AppArmor profile.
    #[arg(long)]
    pub apparmor: Option<String>,
    /// SELinux label.
    #[arg(long)]
    pub process_label: Option<String>,
    /// How many descriptors, from 3 on, to pass to the process.
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
    /// Also in a paused container, where the process waits for its resume.
    #[arg(long)]
    pub ignore_paused: bool,
    /// Cgroup below the container's to run in: `path`, or `controller[,controller…]:path` on cgroup v1.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
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

/// Whatever follows.
#[derive(Debug, clap::Args)]
pub(super) struct Anything {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Events {
    /// Time between two lines.
    #[arg(long, default_value = "5s")]
    pub interval: String,
    /// Print one line of statistics and end.
    #[arg(long)]
    pub stats: bool,
    pub id: String,
}

/// Numbers of bytes may end in k, m, g or t; -1 is no limit.
#[derive(Debug, Default, clap::Args)]
#[command(allow_negative_numbers = true)]
pub(super) struct Update {
    /// File with the resources as JSON, `-` for stdin; the other flags are not looked at then.
    #[arg(short, long)]
    pub resources: Option<PathBuf>,
    /// I/O weight relative to others.
    #[arg(long)]
    pub blkio_weight: Option<u16>,
    /// Microseconds of the period that the quota is for.
    #[arg(long)]
    pub cpu_period: Option<u64>,
    /// Microseconds of processor time in a period.
    #[arg(long)]
    pub cpu_quota: Option<i64>,
    /// Microseconds of unused quota that may be used later.
    #[arg(long)]
    pub cpu_burst: Option<u64>,
    /// Processor time relative to others.
    #[arg(long, alias = "cpu-shares")]
    pub cpu_share: Option<u64>,
    /// Microseconds of the real-time period.
    #[arg(long)]
    pub cpu_rt_period: Option<u64>,
    /// Microseconds of real-time processor time in a period.
    #[arg(long)]
    pub cpu_rt_runtime: Option<i64>,
    /// 1: only when nobody else wants the processor.
    #[arg(long)]
    pub cpu_idle: Option<i64>,
    /// Processors, as in `0-2,5`.
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    #[arg(long)]
    pub cpuset_mems: Option<String>,
    /// Bytes of memory.
    #[arg(long)]
    pub memory: Option<String>,
    /// Bytes of memory that are left to it when memory is short.
    #[arg(long)]
    pub memory_reservation: Option<String>,
    /// Bytes of memory and swap together.
    #[arg(long)]
    pub memory_swap: Option<String>,
    /// Accepted and ignored, as the kernel does.
    #[arg(long)]
    pub kernel_memory: Option<String>,
    /// Accepted and ignored, as the kernel does.
    #[arg(long)]
    pub kernel_memory_tcp: Option<String>,
    /// Processes and threads.
    #[arg(long)]
    pub pids_limit: Option<i64>,
    /// Refused: Intel RDT is not supported.
    #[arg(long)]
    pub l3_cache_schema: Option<String>,
    /// Refused: Intel RDT is not supported.
    #[arg(long)]
    pub mem_bw_schema: Option<String>,
    pub id: String,
}
