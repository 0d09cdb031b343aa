//! The last steps of every process, first of a container or started in it later: from a child in the right namespaces
//! to the exec.

use std::{
    collections::HashSet,
    ffi::CString,
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

use oci_spec::runtime::Process;
use rustix::fs::{Mode, OFlags};

use super::{FromChild, Stdio, lookup, privileges, schedule};
use crate::{
    error::{Context, invalid},
    lsm,
    seccomp::Filter,
    wire,
};

/// What does not need the container's own view any more but only the host's `/proc`. Call before the root changes.
pub(super) fn early(process: &Process, notes: &mut Vec<String>) -> io::Result<()> {
    if let Some(score) = process.oom_score_adj() {
        match fs::write("/proc/self/oom_score_adj", score.to_string()) {
            // Only the host's root may lower it.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                notes.push(format!(
                    "oom_score_adj {score} is not permitted and stays as it is"
                ));
            }
            done => done.context(|| format!("set oom_score_adj {score}"))?,
        }
    }
    if let Some(label) = process.selinux_label().as_deref().filter(|l| !l.is_empty()) {
        label_next_exec("/proc/self/attr/exec", label, "SELinux", notes)?;
    }
    if let Some(profile) = process.apparmor_profile().as_deref().filter(|p| !p.is_empty()) {
        let path = if Path::new("/proc/self/attr/apparmor/exec").exists() {
            "/proc/self/attr/apparmor/exec"
        } else {
            "/proc/self/attr/exec"
        };
        label_next_exec(path, &format!("exec {profile}"), "AppArmor", notes)?;
    }
    Ok(())
}

fn label_next_exec(path: &str, value: &str, module: &str, notes: &mut Vec<String>) -> io::Result<()> {
    if !lsm::active(&module.to_lowercase()) {
        notes.push(format!("{module} is not active: {value:?} is ignored"));
        return Ok(());
    }
    fs::write(path, value).context(|| format!("set the {module} label {value:?}"))
}

/// Connects the standard streams. For a terminal `console` is its process end, which becomes the controlling terminal.
pub(super) fn streams(stdio: Stdio, console: Option<&OwnedFd>) -> io::Result<()> {
    if let Some(console) = console {
        rustix::process::ioctl_tiocsctty(console).context(|| "take the controlling terminal".into())?;
        return connect([
            Some(console.as_fd()),
            Some(console.as_fd()),
            Some(console.as_fd()),
        ]);
    }
    match stdio {
        Stdio::Files {
            stdin,
            stdout,
            stderr,
        } => {
            let fds = [&stdin, &stdout, &stderr].map(|fd| fd.as_ref().map(AsFd::as_fd));
            connect(fds)
        }
        Stdio::Inherit => Ok(()),
        Stdio::Terminal { .. } => Err(invalid("no terminal was made")),
    }
}

fn connect(fds: [Option<BorrowedFd<'_>>; 3]) -> io::Result<()> {
    let null = if fds.iter().any(Option::is_none) {
        Some(
            rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .context(|| "open /dev/null".into())?,
        )
    } else {
        None
    };
    // A source with a number below 3 would be overwritten by an earlier step.
    let mut sources = Vec::new();
    for fd in fds {
        let fd = fd
            .or(null.as_ref().map(AsFd::as_fd))
            .expect("opened when one is missing");
        sources.push(rustix::io::fcntl_dupfd_cloexec(fd, 3)?);
    }
    nix::unistd::dup2_stdin(&sources[0])?;
    nix::unistd::dup2_stdout(&sources[1])?;
    nix::unistd::dup2_stderr(&sources[2])?;
    Ok(())
}

/// A process that only has to be executed.
#[derive(Debug)]
pub(super) struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    late_seccomp: Option<Filter>,
}

/// Gives this process a session keyring of its own, named after the container: keys of the host's session stay out.
pub(super) fn keyring(id: &str, notes: &mut Vec<String>) -> io::Result<()> {
    match skiff_sys::keyring::join_session(&lookup::c_string(format!("_ses.{id}"))?) {
        // No keyrings in this kernel, or the user has too many: the session's is kept.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EDQUOT)) => {
            notes.push(format!("the process has no session keyring of its own: {e}"));
            Ok(())
        }
        done => done.context(|| "unable to join session keyring".into()),
    }
}

/// What [`prepare`] needs beside the process itself.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    /// System call filter.
    pub seccomp: Option<&'a Filter>,
    /// The process dies with its creator.
    pub die_with_parent: bool,
    /// How many descriptors from 3 on it keeps.
    pub preserve_fds: u32,
    /// It keeps the additional groups of the creator.
    pub keep_groups: bool,
    /// The creator, who is given the filter's listener.
    pub creator: BorrowedFd<'a>,
}

/// Loads a filter; a listener goes to who is at the other end of `socket`.
fn load(filter: &Filter, socket: BorrowedFd<'_>) -> io::Result<()> {
    match filter.load()? {
        Some(listener) => wire::send(socket, &FromChild::Listener, &[listener.as_fd()]),
        None => Ok(()),
    }
}

/// Sets limits, user, capabilities and directory, and finds the program.
pub(super) fn prepare(
    process: &Process,
    setting: &Setting<'_>,
    notes: &mut Vec<String>,
) -> io::Result<Program> {
    privileges::rlimits(process.rlimits().as_deref().unwrap_or_default(), notes)?;
    schedule::process(process)?;
    let user = process.user();
    let no_new_privs = process.no_new_privileges().unwrap_or(false);
    if no_new_privs {
        rustix::thread::set_no_new_privs(true).context(|| "set no_new_privs".into())?;
    }
    // The directory may be readable for root only or for the user only.
    let cwd = if process.cwd().as_os_str().is_empty() {
        Path::new("/")
    } else {
        process.cwd().as_path()
    };
    let early_cwd = rustix::process::chdir(cwd);
    // A filter may forbid it later; what is opened from here on is close-on-exec from its birth.
    skiff_sys::process::cloexec_from(3 + setting.preserve_fds)?;
    let mut late_seccomp = setting.seccomp.cloned();
    // Without no_new_privs only a privileged process may load a filter.
    if !no_new_privs && let Some(filter) = late_seccomp.take() {
        load(&filter, setting.creator)?;
    }
    privileges::bounding(process.capabilities().as_ref())?;
    privileges::user(user, setting.keep_groups)?;
    privileges::capabilities(process.capabilities().as_ref(), notes)?;
    if setting.die_with_parent {
        // The kernel forgets this when the user changes, so it comes after.
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    }
    rustix::process::umask(Mode::from_raw_mode(user.umask().unwrap_or(0o022)));
    if early_cwd.is_err() {
        rustix::process::chdir(cwd)
            .context(|| format!("chdir to cwd ({cwd:?}) set in config.json failed"))?;
    }
    // A directory outside the root (a leaked descriptor of the host) has no path inside.
    let here = rustix::process::getcwd(Vec::new()).context(|| "find the working directory".into())?;
    if !here.as_bytes().starts_with(b"/") {
        return Err(invalid("the working directory lies outside the container"));
    }
    let args = process.args().as_deref().unwrap_or_default();
    let Some(name) = args.first() else {
        return Err(invalid("process.args is empty"));
    };
    let env = environment(process.env().as_deref().unwrap_or_default(), user.uid());
    let path = lookup::executable(name, &env, cwd)?;
    Ok(Program {
        path: lookup::c_string(&path)?,
        args: args.iter().map(lookup::c_string).collect::<io::Result<_>>()?,
        env: env.iter().map(lookup::c_string).collect::<io::Result<_>>()?,
        late_seccomp,
    })
}

/// Each variable once, with the value it has last, and `HOME` in any case.
fn environment(asked: &[String], uid: u32) -> Vec<String> {
    fn name(variable: &str) -> &str {
        variable.split_once('=').map_or(variable, |(name, _)| name)
    }
    let mut seen = HashSet::new();
    let mut env: Vec<String> = asked
        .iter()
        .rev()
        .filter(|variable| seen.insert(name(variable)))
        .filter(|variable| *variable != "HOME=")
        .cloned()
        .collect();
    env.reverse();
    if !env.iter().any(|variable| name(variable) == "HOME") {
        env.push(format!("HOME={}", home(uid)));
    }
    env
}

/// Home directory by the container's own /etc/passwd.
fn home(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            (fields.len() >= 6 && fields[2].parse() == Ok(uid)).then(|| fields[5].to_owned())
        })
        .filter(|home| !home.is_empty())
        .unwrap_or_else(|| "/".to_owned())
}

impl Program {
    /// Loads the system call filter, unless that is done; `starter`, who let the program run, is given the listener.
    pub fn confine(&mut self, starter: BorrowedFd<'_>) -> io::Result<()> {
        self.late_seccomp
            .take()
            .map_or(Ok(()), |filter| load(&filter, starter))
    }

    /// Becomes the program. Returns only when that fails.
    pub fn execute(self) -> io::Error {
        skiff_sys::process::reset_signals();
        let Err(errno) = nix::unistd::execve(&self.path, &self.args, &self.env);
        let e = io::Error::from(errno);
        io::Error::new(
            e.kind(),
            format!(
                "exec {}: {}",
                self.path.to_string_lossy(),
                errno.desc().to_lowercase()
            ),
        )
    }
}

/// Source: Linux, uapi/linux/magic.h.
const DEVPTS_SUPER_MAGIC: i64 = 0x1cd1;

/// A terminal made in the devpts at `/dev/pts` below `root`: its controlling end and the process's.
pub(super) fn terminal(
    root: BorrowedFd<'_>,
    size: Option<(u16, u16)>,
    uid: u32,
) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = skiff_sys::path::open_in_root(
        root,
        Path::new("/dev/pts/ptmx"),
        OFlags::RDWR | OFlags::NOCTTY,
        Mode::empty(),
    )
    .context(|| "open /dev/pts/ptmx in the container".into())?;
    if rustix::fs::fstatfs(&ours)?.f_type as i64 != DEVPTS_SUPER_MAGIC {
        return Err(invalid("/dev/pts of the container is no devpts"));
    }
    let theirs = skiff_sys::pty::open_peer(ours.as_fd()).context(|| "open the terminal".into())?;
    if let Some((columns, rows)) = size {
        let size = rustix::termios::Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&ours, size)?;
    }
    // A process of another user opens it again by name (/dev/stdout and so on).
    let _ = rustix::fs::chown(
        format!("/proc/self/fd/{}", theirs.as_raw_fd()),
        Some(rustix::fs::Uid::from_raw(uid)),
        None,
    );
    Ok((ours, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_named_twice_has_its_last_value_and_home_is_never_empty() {
        let text = ["A=1", "HOME=/x", "B=2", "A=3", "HOME="].map(str::to_owned);
        let env = environment(&text, 0);
        assert_eq!(env[..2], ["B=2", "A=3"]);
        assert!(
            env[2].starts_with("HOME=/") && env[2] != "HOME=/x" && env.len() == 3,
            "{env:?}"
        );
        assert_eq!(environment(&["HOME=/y".to_owned()], 0), ["HOME=/y"]);
    }
}
