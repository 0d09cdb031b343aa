//! Command line arguments, those of runc.

use std::{ffi::OsString, path::PathBuf};

use super::options::{Choice, Form, Given, Stop};

#[derive(Debug)]
pub(super) struct Args {
    pub root: Option<PathBuf>,
    pub log: Option<PathBuf>,
    pub log_format: String,
    pub debug: bool,
    pub systemd_cgroup: bool,
    pub cgroup_manager: String,
    pub command: Command,
}

#[derive(Debug)]
pub(super) enum Command {
    Spec(Spec),
    Create(Create),
    Start {
        id: String,
    },
    Run(Run),
    State {
        id: String,
    },
    Pause {
        id: String,
    },
    Resume {
        id: String,
    },
    Update(Update),
    Events(Events),
    /// Checkpoint and restore: process images can be neither written nor read back.
    Unsupported,
    Kill(Kill),
    Delete(Delete),
    Exec(Exec),
    List(List),
    Ps {
        id: String,
        format: String,
        rest: Vec<String>,
    },
    Features,
}

#[derive(Debug)]
pub(super) struct Spec {
    pub bundle: PathBuf,
    pub rootless: bool,
}

#[derive(Debug)]
pub(super) struct Create {
    pub bundle: PathBuf,
    pub config: PathBuf,
    pub console_socket: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    pub preserve_fds: u32,
    pub id: String,
}

#[derive(Debug)]
pub(super) struct Run {
    pub detach: bool,
    pub keep: bool,
    pub create: Create,
}

#[derive(Debug)]
pub(super) struct Kill {
    pub all: bool,
    pub id: String,
    pub signal: String,
}

#[derive(Debug)]
pub(super) struct Delete {
    pub force: bool,
    pub regex: bool,
    pub id: String,
}

#[derive(Debug)]
pub(super) struct Exec {
    pub detach: bool,
    pub tty: bool,
    pub user: Option<String>,
    pub additional_gids: Vec<u32>,
    pub cwd: Option<PathBuf>,
    pub env: Vec<String>,
    pub process: Option<PathBuf>,
    pub pid_file: Option<PathBuf>,
    pub pidfd_socket: Option<PathBuf>,
    pub console_socket: Option<PathBuf>,
    pub cap: Vec<String>,
    pub no_new_privs: bool,
    pub apparmor: Option<String>,
    pub process_label: Option<String>,
    pub preserve_fds: u32,
    pub ignore_paused: bool,
    pub cgroup: Vec<String>,
    pub id: String,
    pub command: Vec<String>,
}

#[derive(Debug)]
pub(super) struct List {
    pub quiet: bool,
    pub format: String,
}

#[derive(Debug)]
pub(super) struct Events {
    pub interval: String,
    pub stats: bool,
    pub id: String,
}

/// Numbers of bytes may end in k, m, g or t; -1 is no limit.
#[derive(Debug, Default)]
pub(super) struct Update {
    pub resources: Option<PathBuf>,
    pub blkio_weight: Option<u16>,
    pub cpu_period: Option<u64>,
    pub cpu_quota: Option<i64>,
    pub cpu_burst: Option<u64>,
    pub cpu_share: Option<u64>,
    pub cpu_rt_period: Option<u64>,
    pub cpu_rt_runtime: Option<i64>,
    pub cpu_idle: Option<i64>,
    pub cpuset_cpus: Option<String>,
    pub cpuset_mems: Option<String>,
    pub memory: Option<String>,
    pub memory_reservation: Option<String>,
    pub memory_swap: Option<String>,
    pub pids_limit: Option<i64>,
    pub l3_cache_schema: Option<String>,
    pub mem_bw_schema: Option<String>,
    pub id: String,
}

impl Create {
    fn of(given: &Given) -> Result<Self, Stop> {
        Ok(Create {
            bundle: given.path("bundle").unwrap_or_else(|| ".".into()),
            config: given.path("config").unwrap_or_else(|| "config.json".into()),
            console_socket: given.path("console-socket"),
            pid_file: given.path("pid-file"),
            pidfd_socket: given.path("pidfd-socket"),
            no_pivot: given.has("no-pivot"),
            no_new_keyring: given.has("no-new-keyring"),
            preserve_fds: given.number("preserve-fds")?.unwrap_or(0),
            id: given.operand(0)?,
        })
    }
}

impl Exec {
    fn of(given: &Given) -> Result<Self, Stop> {
        Ok(Exec {
            detach: given.has("detach"),
            tty: given.has("tty"),
            user: given.text("user")?,
            additional_gids: given.numbers("additional-gids")?,
            cwd: given.path("cwd"),
            env: given.all("env")?,
            process: given.path("process"),
            pid_file: given.path("pid-file"),
            pidfd_socket: given.path("pidfd-socket"),
            console_socket: given.path("console-socket"),
            cap: given.all("cap")?,
            no_new_privs: given.has("no-new-privs"),
            apparmor: given.text("apparmor")?,
            process_label: given.text("process-label")?,
            preserve_fds: given.number("preserve-fds")?.unwrap_or(0),
            ignore_paused: given.has("ignore-paused"),
            cgroup: given.all("cgroup")?,
            id: given.operand(0)?,
            command: match given.operands_from(1)? {
                // Between the id and the command it says that no options follow.
                mut words if words.first().is_some_and(|word| word == "--") => words.split_off(1),
                words => words,
            },
        })
    }
}

impl Update {
    fn of(given: &Given) -> Result<Self, Stop> {
        Ok(Update {
            resources: given.path("resources"),
            blkio_weight: given.number("blkio-weight")?,
            cpu_period: given.number("cpu-period")?,
            cpu_quota: given.number("cpu-quota")?,
            cpu_burst: given.number("cpu-burst")?,
            cpu_share: given.number("cpu-share")?.or(given.number("cpu-shares")?),
            cpu_rt_period: given.number("cpu-rt-period")?,
            cpu_rt_runtime: given.number("cpu-rt-runtime")?,
            cpu_idle: given.number("cpu-idle")?,
            cpuset_cpus: given.text("cpuset-cpus")?,
            cpuset_mems: given.text("cpuset-mems")?,
            memory: given.text("memory")?,
            memory_reservation: given.text("memory-reservation")?,
            memory_swap: given.text("memory-swap")?,
            pids_limit: given.number("pids-limit")?,
            l3_cache_schema: given.text("l3-cache-schema")?,
            mem_bw_schema: given.text("mem-bw-schema")?,
            id: given.operand(0)?,
        })
    }
}

const MAIN: Form = Form {
    name: "",
    operands: "COMMAND [ARGUMENTS]",
    about: "Open Container Initiative runtime: runs containers from bundles, as runc does.",
    options: &[
        (
            "root",
            "",
            "PATH",
            "Where the state of containers is kept [default: /run/skiff/oci, or $XDG_RUNTIME_DIR/skiff/oci].",
        ),
        ("log", "", "PATH", "File to append messages to, beside stderr."),
        (
            "log-format",
            "",
            "FORMAT",
            "Format of the log file: text or json.",
        ),
        (
            "debug",
            "",
            "",
            "Say on stderr what is done differently than the configuration asks.",
        ),
        (
            "rootless",
            "",
            "WORD",
            "Accepted and ignored: whether the user is root is seen.",
        ),
        (
            "systemd-cgroup",
            "",
            "",
            "Let systemd make the cgroups: `cgroupsPath` is then `slice:prefix:name`.",
        ),
        (
            "cgroup-manager",
            "",
            "WORD",
            "cgroupfs, systemd (the same in crun's words), or disabled: no cgroups.",
        ),
    ],
    count: (1, usize::MAX),
    in_order: true,
};

const PID_FILE: Choice = ("pid-file", "", "PATH", "File to write the process id to.");
const PIDFD_SOCKET: Choice = (
    "pidfd-socket",
    "",
    "PATH",
    "Unix socket that is sent a pidfd of the process.",
);
const CONSOLE_SOCKET: Choice = (
    "console-socket",
    "",
    "PATH",
    "Unix socket that is sent the controlling end of the terminal.",
);
const BUNDLE: Choice = ("bundle", "b", "PATH", "Directory with config.json [default: .].");
const CONFIG: Choice = (
    "config",
    "f",
    "PATH",
    "Configuration, relative to the bundle (as with crun) [default: config.json].",
);
const NO_PIVOT: Choice = (
    "no-pivot",
    "",
    "",
    "Move the root file system to / instead of pivoting (on an initramfs).",
);
const NO_NEW_KEYRING: Choice = ("no-new-keyring", "", "", "Keep the caller's session keyring.");
const PRESERVE_FDS: Choice = (
    "preserve-fds",
    "",
    "NUMBER",
    "How many descriptors, from 3 on, to pass to the process.",
);
const FORMAT: Choice = ("format", "f", "FORMAT", "table or json.");

/// A command with operands, options and how many operands there may be.
const fn form(
    name: &'static str,
    operands: &'static str,
    about: &'static str,
    options: &'static [Choice],
    count: (usize, usize),
) -> Form {
    Form {
        name,
        operands,
        about,
        options,
        count,
        in_order: false,
    }
}

/// As [`form`], with operands that may look like options.
const fn in_order(form: Form) -> Form {
    Form {
        in_order: true,
        ..form
    }
}

/// Commands that runc has, whatever their options.
const REFUSED: &[Form] = &[
    form(
        "checkpoint",
        "ID",
        "Not supported: processes can't be written down.",
        &[],
        (0, 0),
    ),
    form(
        "restore",
        "ID",
        "Not supported: processes can't be read back.",
        &[],
        (0, 0),
    ),
];

/// All commands, in the order of the help.
const FORMS: &[Form] = &[
    form(
        "spec",
        "",
        "Write a config.json to start from.",
        &[
            ("bundle", "b", "PATH", "Directory to write to [default: .]."),
            ("rootless", "", "", "For an ordinary user."),
        ],
        (0, 0),
    ),
    form(
        "create",
        "ID",
        "Create a container, whose process waits for `start`.",
        &[
            BUNDLE,
            CONFIG,
            CONSOLE_SOCKET,
            PID_FILE,
            PIDFD_SOCKET,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
        ],
        (1, 1),
    ),
    form("start", "ID", "Let a created container run.", &[], (1, 1)),
    form(
        "run",
        "ID",
        "Create a container, start it, and unless detached wait for it and remove it.",
        &[
            BUNDLE,
            CONFIG,
            ("detach", "d", "", "Do not wait for its end."),
            ("keep", "", "", "Do not remove it at its end."),
            CONSOLE_SOCKET,
            PID_FILE,
            PIDFD_SOCKET,
            NO_PIVOT,
            NO_NEW_KEYRING,
            PRESERVE_FDS,
        ],
        (1, 1),
    ),
    form(
        "state",
        "ID",
        "Print the state of a container as JSON.",
        &[],
        (1, 1),
    ),
    form(
        "pause",
        "ID",
        "Stop all processes of a container for a while.",
        &[],
        (1, 1),
    ),
    form(
        "resume",
        "ID",
        "Let the processes of a paused container go on.",
        &[],
        (1, 1),
    ),
    form(
        "update",
        "ID",
        "Change the limits of a container. Numbers of bytes may end in k, m, g or t; -1 is no limit.",
        &[
            (
                "resources",
                "r",
                "PATH",
                "File with the resources as JSON, `-` for stdin; the other flags are not looked at then.",
            ),
            ("blkio-weight", "", "NUMBER", "I/O weight relative to others."),
            (
                "cpu-period",
                "",
                "NUMBER",
                "Microseconds of the period that the quota is for.",
            ),
            (
                "cpu-quota",
                "",
                "NUMBER",
                "Microseconds of processor time in a period.",
            ),
            (
                "cpu-burst",
                "",
                "NUMBER",
                "Microseconds of unused quota that may be used later.",
            ),
            ("cpu-share", "", "NUMBER", "Processor time relative to others."),
            ("cpu-shares", "", "NUMBER", "The same."),
            (
                "cpu-rt-period",
                "",
                "NUMBER",
                "Microseconds of the real-time period.",
            ),
            (
                "cpu-rt-runtime",
                "",
                "NUMBER",
                "Microseconds of real-time processor time in a period.",
            ),
            (
                "cpu-idle",
                "",
                "NUMBER",
                "1: only when nobody else wants the processor.",
            ),
            ("cpuset-cpus", "", "LIST", "Processors, as in `0-2,5`."),
            ("cpuset-mems", "", "LIST", "Memory nodes."),
            ("memory", "", "BYTES", "Bytes of memory."),
            (
                "memory-reservation",
                "",
                "BYTES",
                "Bytes of memory that are left to it when memory is short.",
            ),
            ("memory-swap", "", "BYTES", "Bytes of memory and swap together."),
            (
                "kernel-memory",
                "",
                "BYTES",
                "Accepted and ignored, as the kernel does.",
            ),
            (
                "kernel-memory-tcp",
                "",
                "BYTES",
                "Accepted and ignored, as the kernel does.",
            ),
            ("pids-limit", "", "NUMBER", "Processes and threads."),
            (
                "l3-cache-schema",
                "",
                "WORD",
                "Refused: Intel RDT is not supported.",
            ),
            (
                "mem-bw-schema",
                "",
                "WORD",
                "Refused: Intel RDT is not supported.",
            ),
        ],
        (1, 1),
    ),
    form(
        "events",
        "ID",
        "Print what a container uses, at intervals, and when the kernel kills a process of it for want of memory.",
        &[
            ("interval", "", "TIME", "Time between two lines [default: 5s]."),
            ("stats", "", "", "Print one line of statistics and end."),
        ],
        (1, 1),
    ),
    form(
        "kill",
        "ID [SIGNAL]",
        "Send a signal, by name or number, to a container's first process [default: SIGTERM].",
        &[("all", "a", "", "To all processes of the container.")],
        (1, 2),
    ),
    form(
        "delete",
        "ID",
        "Remove a stopped container.",
        &[
            (
                "force",
                "f",
                "",
                "Kill it first, and do not mind when it does not exist.",
            ),
            (
                "regex",
                "",
                "",
                "Remove every container whose id matches this extended regular expression (as with crun).",
            ),
        ],
        (1, 1),
    ),
    in_order(form(
        "exec",
        "ID [COMMAND [ARGUMENTS]]",
        "Run a process in a running container.",
        &[
            ("detach", "d", "", "Do not wait for its end."),
            ("tty", "t", "", "Give it a terminal."),
            ("user", "u", "UID[:GID]", "User and group."),
            ("additional-gids", "g", "GID", "Additional group."),
            ("cwd", "", "PATH", "Working directory."),
            ("env", "e", "NAME=VALUE", "Environment variable."),
            (
                "process",
                "p",
                "PATH",
                "File with an OCI process instead of arguments.",
            ),
            PID_FILE,
            PIDFD_SOCKET,
            CONSOLE_SOCKET,
            ("cap", "c", "NAME", "Add a capability."),
            ("no-new-privs", "", "", "The process may not gain privileges."),
            ("apparmor", "", "PROFILE", "AppArmor profile."),
            ("process-label", "", "LABEL", "SELinux label."),
            PRESERVE_FDS,
            (
                "ignore-paused",
                "",
                "",
                "Also in a paused container, where the process waits for its resume.",
            ),
            (
                "cgroup",
                "",
                "PATH",
                "Cgroup below the container's to run in, on cgroup v1 `controller[,controller...]:path` too.",
            ),
        ],
        (1, usize::MAX),
    )),
    form(
        "list",
        "",
        "List containers.",
        &[("quiet", "q", "", "Only ids."), FORMAT],
        (0, 0),
    ),
    in_order(form(
        "ps",
        "ID [ARGUMENTS OF PS]",
        "List the processes of a container: as ps prints them (-ef), or their ids as json.",
        &[FORMAT],
        (1, usize::MAX),
    )),
    form(
        "features",
        "",
        "Print what this runtime can do as JSON.",
        &[],
        (0, 0),
    ),
];

impl Args {
    /// Reads the arguments of `program`.
    pub fn read(program: &str, words: &[OsString]) -> Result<Self, Stop> {
        let given = MAIN.read(program, words).map_err(|stop| match stop {
            Stop::Help(text) => Stop::Help(text + &commands()),
            // Without a command, what there is.
            Stop::Wrong(_) if words.is_empty() => Stop::Help(MAIN.help(program) + &commands()),
            wrong => wrong,
        })?;
        let name = given.operand(0)?;
        Ok(Args {
            command: Command::read(program, &name, &given.operands[1..])?,
            root: given.path("root"),
            log: given.path("log"),
            log_format: given.word("log-format", &["text", "json"])?,
            debug: given.has("debug"),
            systemd_cgroup: given.has("systemd-cgroup"),
            cgroup_manager: given.word("cgroup-manager", &["cgroupfs", "systemd", "disabled"])?,
        })
    }

    /// systemd is to make the cgroups.
    pub fn by_systemd(&self) -> bool {
        self.systemd_cgroup || self.cgroup_manager == "systemd"
    }
}

fn commands() -> String {
    let lines = FORMS
        .iter()
        .map(|form| format!("\n   {:<10} {}", form.name, form.about));
    "\n\nCOMMANDS:".to_owned() + &lines.collect::<String>()
}

impl Command {
    fn read(program: &str, name: &str, words: &[OsString]) -> Result<Self, Stop> {
        if let Some(refused) = REFUSED.iter().find(|form| form.name == name) {
            let help = words.iter().any(|word| word == "-h" || word == "--help");
            return if help {
                Err(Stop::Help(refused.help(program)))
            } else {
                Ok(Command::Unsupported)
            };
        }
        let form = FORMS
            .iter()
            .find(|form| form.name == name)
            .ok_or_else(|| Stop::Unknown(format!("No help topic for '{name}'")))?;
        let given = form.read(program, words)?;
        let id = || given.operand(0);
        Ok(match name {
            "spec" => Command::Spec(Spec {
                bundle: given.path("bundle").unwrap_or_else(|| ".".into()),
                rootless: given.has("rootless"),
            }),
            "create" => Command::Create(Create::of(&given)?),
            "start" => Command::Start { id: id()? },
            "run" => Command::Run(Run {
                detach: given.has("detach"),
                keep: given.has("keep"),
                create: Create::of(&given)?,
            }),
            "state" => Command::State { id: id()? },
            "pause" => Command::Pause { id: id()? },
            "resume" => Command::Resume { id: id()? },
            "update" => Command::Update(Update::of(&given)?),
            "events" => Command::Events(Events {
                interval: given.text("interval")?.unwrap_or_else(|| "5s".to_owned()),
                stats: given.has("stats"),
                id: id()?,
            }),
            "kill" => Command::Kill(Kill {
                all: given.has("all"),
                id: id()?,
                signal: given
                    .operands_from(1)?
                    .pop()
                    .unwrap_or_else(|| "SIGTERM".to_owned()),
            }),
            "delete" => Command::Delete(Delete {
                force: given.has("force"),
                regex: given.has("regex"),
                id: id()?,
            }),
            "exec" => Command::Exec(Exec::of(&given)?),
            "list" => Command::List(List {
                quiet: given.has("quiet"),
                format: given.word("format", &["table", "json"])?,
            }),
            "ps" => Command::Ps {
                id: id()?,
                format: given.word("format", &["table", "json"])?,
                rest: given.operands_from(1)?,
            },
            _ => Command::Features,
        })
    }
}
