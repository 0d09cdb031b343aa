//! Logs, exec, attach, cp and port-forward.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use skiff_tests::{Cluster, container_status, eventually, need, pod, shell_pod, web_deployment, web_service};

use crate::{has, same};

skiff_tests::cases! {
    shared:
        logs_follow_limit_and_stamp,
        logs_of_the_run_before_are_kept,
        exec_passes_input_output_and_exit_codes,
        exec_gives_a_terminal,
        attach_joins_the_output,
        cp_copies_both_ways,
        port_forward_reaches_the_pod,
        the_proxies_of_pods_and_services_pass_requests_on;
}

fn logs_follow_limit_and_stamp(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; until [ -f /tmp/go ]; do sleep 0.05; done; echo end";
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, script)])?;
    ns.wait_ready("p")?;
    eventually("the lines", || {
        has(
            &ns.kubectl("logs p").ok()?,
            &["line 1\nline 2\nline 3\nline 4\nline 5\n", "oops"],
        )
    })?;
    same(ns.kubectl("logs p --tail=1").ok()?.lines().count(), 1)?;
    same(ns.kubectl("logs p --tail=0").ok()?.as_str(), "")?;
    let stamped = ns.kubectl("logs p --timestamps --tail=1").ok()?;
    let stamp = stamped.split(' ').next().context("a stamp")?;
    ensure!(
        stamp.ends_with('Z') && stamp.len() == "2026-01-02T03:04:05.123456789Z".len(),
        "{stamped}"
    );
    has(&ns.kubectl("logs p --since=1h").ok()?, &["line 1"])?;
    same(
        ns.kubectl("logs p --since-time=2100-01-01T00:00:00Z")
            .ok()?
            .as_str(),
        "",
    )?;
    same(ns.kubectl("logs p --limit-bytes=4").ok()?.as_str(), "line")?;
    has(
        &ns.kubectl("logs -l app=p --prefix").ok()?,
        &["[pod/p/main] line 1"],
    )?;
    has(
        &ns.kubectl("logs p -c other").fails(1)?,
        &["container other is not valid for pod p"],
    )?;
    let mut follow = ns.kubectl_in_background("logs -f p")?;
    follow.line(|line| line == "line 5")?;
    ns.kubectl("exec p -- touch /tmp/go").ok()?;
    follow.line(|line| line == "end")?;
    same(follow.end()?.0, 0)
}

fn logs_of_the_run_before_are_kept(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script =
        "if [ -f /data/again ]; then echo second; sleep 1000; fi; touch /data/again; echo first; exit 3";
    ns.apply(&[pod(
        "p",
        json!({
            "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "data", "emptyDir": {}}],
            "containers": [{
                "name": "main", "image": cluster.image("v1")?, "command": ["sh", "-c", script],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
        }),
    )])?;
    ns.wait_pod("p", "to run again", |pod| {
        container_status(pod, "main").is_some_and(|status| status.restart_count == 1 && status.ready)
    })?;
    eventually("the second run's line", || {
        same(ns.kubectl("logs p").ok()?.trim(), "second")
    })?;
    same(ns.kubectl("logs p --previous").ok()?.trim(), "first")
}

fn exec_passes_input_output_and_exit_codes(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "sleep 1000")])?;
    ns.wait_ready("p")?;
    let both = ns.kubectl(["exec", "p", "--", "sh", "-c", "echo out; echo err >&2"]);
    same(
        (both.code, both.stdout.as_str(), both.stderr.as_str()),
        (0, "out\n", "err\n"),
    )?;
    let failed = ns.kubectl(["exec", "p", "--", "sh", "-c", "exit 7"]);
    same(failed.code, 7)?;
    has(&failed.stderr, &["command terminated with exit code 7"])?;
    let large = "0123456789abcdef".repeat(64 * 1024);
    same(
        ns.kubectl_with_input("exec -i p -- cat", &large).ok()? == large,
        true,
    )?;
    same(
        ns.kubectl_with_input("exec -i p -- wc -c", "four").ok()?.trim(),
        "4",
    )?;
    let missing = ns.kubectl("exec p -- nonsense");
    same(missing.code, 1)?;
    has(
        &missing.stderr,
        &[
            "error: Internal error occurred: error executing command in container: ",
            "exec: \"nonsense\": executable file not found in $PATH",
        ],
    )?;
    ns.apply(&[shell_pod(
        "waits",
        &cluster.registry()?.reference("nonsense"),
        "true",
    )])?;
    let waits = eventually("the node to know the pod", || {
        let waits = ns.kubectl("exec waits -- true");
        has(&waits.stderr, &["container not found"]).map(|()| waits)
    })?;
    same(
        (waits.code, waits.stderr.as_str()),
        (
            1,
            "error: unable to upgrade connection: container not found (\"main\")\n",
        ),
    )
}

fn exec_gives_a_terminal(cluster: &Cluster) -> Result<()> {
    let script = need("script")?;
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "sleep 1000")])?;
    ns.wait_ready("p")?;
    let kubectl = ns.kubectl_command("exec -it p -- sh -c");
    let words = std::iter::once(kubectl.get_program()).chain(kubectl.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let line = format!(
        "{} 'test -t 0 && test -t 1 && echo is a terminal; exit 4'",
        words.join(" ")
    );
    let mut command = Command::new(script);
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
    for (name, value) in kubectl.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = skiff_tests::run(&mut command)?;
    has(&output.stdout, &["is a terminal\r\n"])?;
    same(output.code, 4)
}

fn attach_joins_the_output(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let script = "while true; do echo tick; sleep 0.1; done";
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, script)])?;
    ns.wait_ready("p")?;
    let mut attached = ns.kubectl_in_background("attach p")?;
    attached.line(|line| line == "tick")?;
    let cat = pod(
        "cat",
        json!({"terminationGracePeriodSeconds": 0, "containers": [
        {"name": "main", "image": cluster.image("v1")?, "command": ["cat"], "stdin": true, "stdinOnce": true}]}),
    );
    ns.apply(&[cat])?;
    ns.wait_ready("cat")?;
    has(
        &ns.kubectl_with_input("attach -i cat", "through\n").ok()?,
        &["through"],
    )
}

fn cp_copies_both_ways(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[shell_pod("p", &cluster.image("v1")?, "sleep 1000")])?;
    ns.wait_ready("p")?;
    let folder = cluster.home().join(ns.name());
    fs::create_dir_all(folder.join("there/below"))?;
    fs::write(folder.join("there/below/file"), "content")?;
    let from = folder.join("there").display().to_string();
    ns.kubectl(["cp", &from, "p:/tmp/copied"]).ok()?;
    same(
        ns.kubectl("exec p -- cat /tmp/copied/below/file").ok()?.as_str(),
        "content",
    )?;
    let back = folder.join("back").display().to_string();
    ns.kubectl(["cp", "p:/tmp/copied", &back]).ok()?;
    same(
        fs::read_to_string(folder.join("back/below/file"))?.as_str(),
        "content",
    )
}

fn port_forward_reaches_the_pod(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    let web = json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": cluster.image("v1")?}]});
    ns.apply(&[pod("web", web)])?;
    ns.wait_ready("web")?;
    let mut forward = ns.kubectl_in_background("port-forward pod/web :8080")?;
    let line = forward.line(|line| line.starts_with("Forwarding from 127.0.0.1:"))?;
    let port: u16 = line.split([':', ' ']).nth(3).context("a port")?.parse()?;
    for _ in 0..5 {
        let answer = eventually("the web server", || {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(skiff_tests::DEADLINE))?;
            write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            has(&answer, &["200 OK"]).map(|()| answer)
        })?;
        has(&answer, &["Hello from web"])?;
    }
    drop(forward);
    // A port that nobody listens on.
    let mut forward = ns.kubectl_in_background("port-forward pod/web :81")?;
    let line = forward.line(|line| line.starts_with("Forwarding from 127.0.0.1:"))?;
    let port: u16 = line.split([':', ' ']).nth(3).context("a port")?.parse()?;
    let _tried = TcpStream::connect(("127.0.0.1", port))?;
    forward.line(|line| line.contains("dial tcp 127.0.0.1:81: connect: connection refused"))?;
    Ok(())
}

fn the_proxies_of_pods_and_services_pass_requests_on(cluster: &Cluster) -> Result<()> {
    let ns = cluster.namespace()?;
    ns.apply(&[
        web_deployment("web", &cluster.image("v1")?, 1),
        web_service("web"),
    ])?;
    ns.wait_rolled_out("web")?;
    let pods = ns.pods("app=web")?;
    let pod = pods.first().context("a pod")?;
    let base = format!("/api/v1/namespaces/{}", ns.name());
    let get = |path: String| cluster.kubectl(["get", "--raw", &format!("{base}/{path}")]);
    let hello = format!("Hello from {pod}");
    has(&get(format!("pods/{pod}/proxy/")).ok()?, &[&hello])?;
    has(&get(format!("pods/{pod}:8080/proxy/")).ok()?, &[&hello])?;
    for service in ["web", "web:80", "web:http", "http:web:http"] {
        // The rollout is over before the endpoints are everywhere.
        eventually("the service's endpoints", || {
            has(&get(format!("services/{service}/proxy/")).ok()?, &[&hello])
        })?;
    }
    has(
        &get(format!("pods/{pod}:9/proxy/")).fails(1)?,
        &["error forwarding port 9 to pod"],
    )?;
    has(
        &get("services/web:81/proxy/".to_owned()).fails(1)?,
        &["no service port 81 found for service \"web\""],
    )
}
