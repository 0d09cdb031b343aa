//! exec.

use std::io;

use oci_spec::runtime::{Process, User};

use super::{
    args::{self, Args},
    config, console,
    create::{check_preserved, stdio},
    foreground::Watch,
    store::Store,
};
use crate::{
    container::{
        Agent,
        create::put_down,
        exec::{self, Request},
        hooks,
        schedule::Domain,
    },
    error::{Context, invalid},
    seccomp::Filter,
};

pub(super) fn exec(store: &Store, args: &args::Exec, all: &Args) -> io::Result<i32> {
    let (entry, saved) = store.get(&args.id)?;
    match entry.status(&saved) {
        "created" | "running" => (),
        "paused" if args.ignore_paused => (),
        "paused" => {
            return Err(invalid(
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        "stopped" => return Err(invalid("cannot exec in a stopped container")),
        status => return Err(invalid(format!("cannot exec in a container that is {status}"))),
    }
    check_preserved(args.preserve_fds)?;
    let spec = entry.spec()?;
    let mut told = Vec::new();
    let process = process(args, spec.process().as_ref(), &mut told)?;
    config::process(Some(&process))?;
    let terminal = process.terminal().unwrap_or(false);
    if terminal && args.detach && args.console_socket.is_none() {
        return Err(invalid(
            "cannot allocate tty if runc will detach without setting console socket",
        ));
    }
    let profile = spec.linux().as_ref().and_then(|l| l.seccomp().as_ref());
    let seccomp = profile
        .map(|profile| Filter::compile(profile, Some(&entry.filters())))
        .transpose()?;
    if !terminal && args.console_socket.is_some() {
        return Err(invalid(
            "cannot use console socket if runc will not detach or allocate tty",
        ));
    }
    let state = hooks::state(
        &saved.id,
        "running",
        Some(saved.pid),
        &saved.bundle,
        spec.annotations(),
    );
    let mut cgroup = saved.cgroup.clone();
    for path in &args.cgroup {
        let whole = cgroup.ok_or_else(|| invalid("--cgroup: the container has no cgroup"))?;
        cgroup = Some(whole.below(path)?);
    }
    let watch = if args.detach { None } else { Some(Watch::new()?) };
    let mut running = exec::exec(Request {
        target: saved.pid,
        stdio: stdio(Some(&process)),
        process,
        cgroup,
        exact_cgroup: !args.cgroup.is_empty(),
        domain: Domain::of(&spec),
        seccomp,
        die_with_parent: false,
        keyring: Some(saved.id.clone()),
        preserve_fds: args.preserve_fds,
        agent: Agent::of(&spec, state),
    })
    .context(|| "exec failed: unable to start container process".into())?;
    told.append(&mut running.notes);
    super::notes(all, &told);
    if let Err(e) = announce(args, &running) {
        // Nobody would know of it.
        put_down(&running.child);
        return Err(e);
    }
    match watch {
        None => Ok(0),
        Some(watch) => watch.wait(&running.child, running.console, None),
    }
}

/// Tells who has asked for it of the new process.
fn announce(args: &args::Exec, running: &exec::Running) -> io::Result<()> {
    if let Some(path) = &args.pid_file {
        crate::state::replace(path, running.child.pid.to_string().as_bytes())?;
    }
    if let Some(socket) = &args.pidfd_socket {
        console::send_pidfd(socket, &running.child)?;
    }
    if let (Some(socket), Some(console), true) = (&args.console_socket, &running.console, args.detach) {
        console::send(socket, console)?;
    }
    Ok(())
}

/// The process to run: from a file, or the container's own with other arguments.
fn process(args: &args::Exec, own: Option<&Process>, told: &mut Vec<String>) -> io::Result<Process> {
    if let Some(path) = &args.process {
        return config::read_process(path, told);
    }
    if args.command.is_empty() {
        return Err(invalid("process args cannot be empty"));
    }
    let mut process = own.cloned().unwrap_or_default();
    process.set_args(Some(args.command.clone()));
    process.set_terminal(Some(args.tty));
    process.set_console_size(None);
    if let Some(cwd) = &args.cwd {
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    for pair in &args.env {
        // A variable named twice has the value it had first.
        let name = pair.split_once('=').map_or(pair.as_str(), |(name, _)| name);
        env.retain(|old| old.split_once('=').is_none_or(|(old, _)| old != name));
        env.push(pair.clone());
    }
    process.set_env(Some(env));
    if let Some(user) = &args.user {
        process.set_user(parse_user(user, process.user())?);
    }
    if !args.additional_gids.is_empty() {
        let mut user = process.user().clone();
        user.set_additional_gids(Some(args.additional_gids.clone()));
        process.set_user(user);
    }
    if let Some(profile) = &args.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(label) = &args.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if !args.cap.is_empty() {
        let mut capabilities = serde_json::to_value(process.capabilities().clone().unwrap_or_default())?;
        for set in ["bounding", "effective", "permitted"] {
            let mut names: Vec<String> =
                serde_json::from_value(capabilities[set].clone()).unwrap_or_default();
            names.extend(args.cap.iter().cloned());
            capabilities[set] = names.into();
        }
        config::drop_unknown(&mut capabilities, told);
        process.set_capabilities(serde_json::from_value(capabilities).context(|| "read --cap".into())?);
    }
    Ok(process)
}

fn parse_user(text: &str, own: &User) -> io::Result<User> {
    let (uid, gid) = text
        .split_once(':')
        .map_or((text, None), |(uid, gid)| (uid, Some(gid)));
    let number = |text: &str| {
        text.parse::<u32>()
            .map_err(|_| invalid(format!("user {text:?} is not a number")))
    };
    let mut user = own.clone();
    user.set_uid(number(uid)?);
    if let Some(gid) = gid {
        user.set_gid(number(gid)?);
    }
    Ok(user)
}
