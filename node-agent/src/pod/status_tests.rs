use serde_json::{Value, json};

use super::*;
use crate::pod::{
    model::{Hold, Step},
    plan::plan,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).expect("time")
}

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "generation": 2}, "spec": spec
    }))
    .expect("pod")
}

fn one() -> Value {
    json!({"containers": [{"name": "a", "image": "i"}]})
}

fn view(state: State) -> View {
    let up = state.started_at().is_some();
    let instance = Instance {
        image: Image::Present,
        state,
        started: up,
        ready: up,
        image_name: "i".into(),
        image_id: "sha256:1".into(),
        ..Instance::default()
    };
    View {
        sandbox: Sandbox::Ready(Some("10.1.0.5".parse().unwrap())),
        volumes: Step::Ready,
        containers: [("a".to_owned(), instance)].into(),
        start_time: Some(at(0)),
        ..View::default()
    }
}

fn exited(code: i32) -> State {
    State::Exited(Ended {
        code,
        signal: None,
        reason: if code == 0 { "Completed" } else { "Error" }.into(),
        message: None,
        started_at: Some(at(1)),
        finished_at: at(2),
        container_id: "skiff://x".into(),
    })
}

fn run(pod: &Pod, view: &View, now: Timestamp) -> PodStatus {
    status(
        pod,
        None,
        view,
        &plan(pod, view, now),
        &[IpAddr::from([192, 0, 2, 1])],
        now,
    )
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> &'a PodCondition {
    status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == kind)
        .expect("condition")
}

fn first(status: &PodStatus) -> ContainerStatus {
    status.container_statuses.as_ref().expect("statuses")[0].clone()
}

#[test]
fn a_new_pod_is_pending_and_says_what_it_waits_for() {
    let mut view = view(State::Waiting);
    view.sandbox = Sandbox::Creating;
    let status = run(&pod(one()), &view, at(1));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(status.pod_ip, None);
    let waiting = first(&status)
        .state
        .and_then(|state| state.waiting)
        .expect("waiting");
    assert_eq!(waiting.reason.as_deref(), Some("ContainerCreating"));
    assert_eq!(condition(&status, "PodReadyToStartContainers").status, "False");
    let ready = condition(&status, "Ready");
    assert_eq!(ready.reason.as_deref(), Some("ContainersNotReady"));
    assert_eq!(
        ready.message.as_deref(),
        Some("containers with unready status: [a]")
    );
}

#[test]
fn a_status_says_which_volumes_are_mounted() {
    let spec = json!({"containers": [{"name": "a", "image": "i", "volumeMounts": [
        {"name": "data", "mountPath": "/data"}, {"name": "keys", "mountPath": "/keys", "readOnly": true}]}]});
    let status = first(&run(&pod(spec), &View::default(), at(1)));
    assert_eq!(
        serde_json::to_value(status.volume_mounts).expect("mounts"),
        json!([
            {"name": "data", "mountPath": "/data"},
            {"name": "keys", "mountPath": "/keys", "readOnly": true, "recursiveReadOnly": "Disabled"},
        ])
    );
}

#[test]
fn until_the_next_instance_runs_the_status_is_that_of_the_one_before() {
    let status_of = |waited_s: u32| {
        let mut view = view(State::Creating);
        let instance = view.containers.get_mut("a").expect("container");
        instance.attempt = 2;
        instance.waited_s = waited_s;
        instance.last = exited(3).ended().cloned();
        first(&run(&pod(one()), &view, at(5)))
    };
    let at_once = status_of(0);
    assert_eq!(at_once.restart_count, 1);
    let terminated = at_once.state.and_then(|state| state.terminated);
    assert_eq!(terminated.map(|terminated| terminated.exit_code), Some(3));
    let after_a_wait = status_of(20);
    assert_eq!(after_a_wait.restart_count, 1);
    let waiting = after_a_wait
        .state
        .and_then(|state| state.waiting)
        .expect("waiting");
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert!(
        waiting
            .message
            .is_some_and(|text| text.starts_with("back-off 20s "))
    );
    let last = after_a_wait.last_state.and_then(|state| state.terminated);
    assert_eq!(last.map(|terminated| terminated.exit_code), Some(3));
}

#[test]
fn statuses_are_listed_by_name_and_messages_in_the_order_of_the_specification() {
    let container = |name: &str| json!({"name": name, "image": "i"});
    let spec = json!({
        "initContainers": [container("z"), container("y")],
        "containers": [container("c"), container("a"), container("b")],
    });
    let status = run(&pod(spec), &View::default(), at(1));
    let names = |list: &Option<Vec<ContainerStatus>>| -> Vec<String> {
        list.iter().flatten().map(|status| status.name.clone()).collect()
    };
    assert_eq!(names(&status.init_container_statuses), ["z", "y"]);
    assert_eq!(names(&status.container_statuses), ["a", "b", "c"]);
    assert_eq!(
        condition(&status, "ContainersReady").message.as_deref(),
        Some("containers with unready status: [c a b]")
    );
}

#[test]
fn a_pod_that_has_ended_keeps_its_addresses() {
    let pod_of = |host_network: bool| {
        let mut spec = one();
        spec["restartPolicy"] = json!("Never");
        spec["hostNetwork"] = json!(host_network);
        pod(spec)
    };
    let mut view = view(exited(0));
    view.ip = Some("10.1.0.5".parse().unwrap());
    for sandbox in [Sandbox::Removing, Sandbox::Removed] {
        view.sandbox = sandbox;
        let status = run(&pod_of(false), &view, at(3));
        assert_eq!(status.pod_ip.as_deref(), Some("10.1.0.5"));
        assert_eq!(condition(&status, "PodReadyToStartContainers").status, "False");
        view.ip = None;
        let status = run(&pod_of(true), &view, at(3));
        assert_eq!(status.pod_ip.as_deref(), Some("192.0.2.1"));
        view.ip = Some("10.1.0.5".parse().unwrap());
    }
}

#[test]
fn a_running_pod_is_ready_and_has_its_addresses() {
    let status = run(&pod(one()), &view(State::Running { started_at: at(1) }), at(2));
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.1.0.5"));
    assert_eq!(status.host_ip.as_deref(), Some("192.0.2.1"));
    assert_eq!(status.observed_generation, Some(2));
    for kind in [
        "PodScheduled",
        "Initialized",
        "ContainersReady",
        "Ready",
        "PodReadyToStartContainers",
    ] {
        assert_eq!(condition(&status, kind).status, "True", "{kind}");
    }
    let container = first(&status);
    assert!(container.ready && container.started == Some(true));
    assert!(container.container_id.expect("id").starts_with("skiff://"));
    assert_eq!(container.image_id, "sha256:1");
}

#[test]
fn a_new_end_is_shown_for_a_moment_before_the_wait() {
    let mut view = view(exited(1));
    view.containers.get_mut("a").expect("a").backoff_s = 20;
    let state = first(&run(&pod(one()), &view, at(2))).state.expect("state");
    assert_eq!(state.terminated.expect("terminated").exit_code, 1);
    let State::Exited(ended) = &mut view.containers.get_mut("a").expect("a").state else {
        panic!("exited");
    };
    ended.reason = START_ERROR.into();
    ended.message = Some("no such program".into());
    let container = first(&run(&pod(one()), &view, at(2)));
    let waiting = container.state.and_then(|state| state.waiting).expect("waiting");
    assert_eq!(waiting.reason.as_deref(), Some("RunContainerError"));
    assert_eq!(waiting.message.as_deref(), Some("no such program"));
    assert!(container.last_state.and_then(|state| state.terminated).is_some());
}

#[test]
fn a_crash_loop_shows_the_wait_and_the_last_end() {
    let mut view = view(exited(1));
    let instance = view.containers.get_mut("a").expect("a");
    instance.backoff_s = 20;
    instance.attempt = 3;
    let status = run(&pod(one()), &view, at(5));
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let container = first(&status);
    let waiting = container.state.and_then(|state| state.waiting).expect("waiting");
    assert_eq!(waiting.reason.as_deref(), Some("CrashLoopBackOff"));
    assert_eq!(
        waiting.message.as_deref(),
        Some("back-off 20s restarting failed container=a pod=p_n(u)")
    );
    assert_eq!(
        container
            .last_state
            .and_then(|state| state.terminated)
            .expect("last")
            .exit_code,
        1
    );
    assert_eq!(container.restart_count, 3);
}

#[test]
fn ends_decide_the_phase() {
    let phase = |policy: &str, code: i32| {
        let mut spec = one();
        spec["restartPolicy"] = policy.into();
        run(&pod(spec), &view(exited(code)), at(5)).phase.expect("phase")
    };
    assert_eq!(phase("Never", 0), "Succeeded");
    assert_eq!(phase("Never", 1), "Failed");
    assert_eq!(phase("OnFailure", 0), "Succeeded");
    assert_eq!(phase("OnFailure", 1), "Running");
    assert_eq!(phase("Always", 0), "Running");
}

#[test]
fn a_finished_pod_says_so_in_its_conditions() {
    let mut spec = one();
    spec["restartPolicy"] = "Never".into();
    let status = run(&pod(spec), &view(exited(0)), at(5));
    assert_eq!(
        condition(&status, "Ready").reason.as_deref(),
        Some("PodCompleted")
    );
    assert_eq!(condition(&status, "Initialized").status, "True");
    let terminated = first(&status)
        .state
        .and_then(|state| state.terminated)
        .expect("terminated");
    assert_eq!(terminated.reason.as_deref(), Some("Completed"));
}

#[test]
fn a_transition_keeps_its_time_until_the_next() {
    let mut pod = pod(one());
    let view = view(State::Running { started_at: at(1) });
    pod.status = Some(run(&pod, &view, at(2)));
    let later = run(&pod, &view, at(50));
    assert_eq!(condition(&later, "Ready").last_transition_time, Some(Time(at(2))));
}

#[test]
fn an_image_that_fails_shows_why() {
    let mut view = view(State::Waiting);
    let hold = Hold {
        reason: "ImagePullBackOff".into(),
        message: "m".into(),
        until: at(20),
    };
    view.containers.get_mut("a").expect("a").image = Image::Failed {
        hold,
        backoff_s: 10,
        backing_off: true,
    };
    let waiting = first(&run(&pod(one()), &view, at(5)))
        .state
        .and_then(|s| s.waiting)
        .expect("waiting");
    assert_eq!(waiting.reason.as_deref(), Some("ImagePullBackOff"));
}

#[test]
fn readiness_gates_hold_ready_back() {
    let mut spec = one();
    spec["readinessGates"] = json!([{"conditionType": "example.test/ok"}]);
    let mut pod = pod(spec);
    let view = view(State::Running { started_at: at(1) });
    let status = run(&pod, &view, at(2));
    assert_eq!(condition(&status, "ContainersReady").status, "True");
    assert_eq!(
        condition(&status, "Ready").reason.as_deref(),
        Some("ReadinessGatesNotReady")
    );
    pod.status =
        serde_json::from_value(json!({"conditions": [{"type": "example.test/ok", "status": "True"}]})).ok();
    assert_eq!(condition(&run(&pod, &view, at(2)), "Ready").status, "True");
}

#[test]
fn init_containers_are_waited_for_by_name() {
    let spec = json!({
        "initContainers": [{"name": "i", "image": "i"}],
        "containers": [{"name": "a", "image": "i"}]
    });
    let mut view = view(State::Waiting);
    view.containers.insert(
        "i".into(),
        Instance {
            state: State::Running { started_at: at(1) },
            ..Instance::default()
        },
    );
    let status = run(&pod(spec), &view, at(2));
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let initialized = condition(&status, "Initialized");
    assert_eq!(
        initialized.message.as_deref(),
        Some("containers with incomplete status: [i]")
    );
    let waiting = first(&status)
        .state
        .and_then(|state| state.waiting)
        .expect("waiting");
    assert_eq!(waiting.reason.as_deref(), Some("PodInitializing"));
}

#[test]
fn durations_are_printed_as_kubernetes_does() {
    assert_eq!(duration(40), "40s");
    assert_eq!(duration(80), "1m20s");
    assert_eq!(duration(300), "5m0s");
}
