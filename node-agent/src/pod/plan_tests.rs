use serde_json::{Value, json};

use super::*;
use crate::pod::model::{Hold, Unhealthy};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).expect("time")
}

fn pod(spec: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec}))
        .expect("pod")
}

fn deleted(spec: Value, grace_s: i64) -> Pod {
    let mut pod = pod(spec);
    pod.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(grace_s)));
    pod.metadata.deletion_grace_period_seconds = Some(grace_s);
    pod
}

fn view(containers: &[(&str, State)]) -> View {
    let mut view = View {
        sandbox: Sandbox::Ready(None),
        volumes: Step::Ready,
        start_time: Some(at(0)),
        ..View::default()
    };
    for (name, state) in containers {
        let started = state.started_at().is_some();
        let instance = Instance {
            image: Image::Present,
            state: state.clone(),
            started,
            ready: started,
            image_name: "i".into(),
            ..Instance::default()
        };
        view.containers.insert((*name).to_owned(), instance);
    }
    view
}

fn running() -> State {
    State::Running { started_at: at(0) }
}

fn exited(code: i32, finished: i64) -> State {
    State::Exited(Ended {
        code,
        signal: None,
        reason: "Error".into(),
        message: None,
        started_at: Some(at(finished - 1)),
        finished_at: at(finished),
        container_id: String::new(),
    })
}

fn start(name: &str) -> Action {
    Action::Start(name.into())
}

fn two() -> Value {
    json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]})
}

#[test]
fn a_new_pod_gets_everything_at_once() {
    let plan = plan(&pod(two()), &View::default(), at(0));
    assert_eq!(
        plan.actions,
        [
            Action::Sandbox,
            Action::Volumes,
            Action::Pull("a".into()),
            Action::Pull("b".into())
        ]
    );
}

#[test]
fn what_is_under_way_is_not_asked_for_again() {
    let mut view = view(&[("a", State::Creating), ("b", running())]);
    view.sandbox = Sandbox::Creating;
    view.volumes = Step::Doing;
    assert_eq!(plan(&pod(two()), &view, at(0)).actions, []);
}

#[test]
fn a_container_waits_for_sandbox_and_volumes() {
    let mut view = view(&[("a", State::Waiting), ("b", State::Waiting)]);
    view.sandbox = Sandbox::Creating;
    assert_eq!(plan(&pod(two()), &view, at(0)).actions, []);
    view.sandbox = Sandbox::Ready(None);
    assert_eq!(plan(&pod(two()), &view, at(0)).actions, [start("a"), start("b")]);
}

fn with_init() -> Value {
    json!({
        "initContainers": [
            {"name": "i1", "image": "i"},
            {"name": "s", "image": "i", "restartPolicy": "Always"},
            {"name": "i2", "image": "i"}
        ],
        "containers": [{"name": "a", "image": "i"}]
    })
}

#[test]
fn init_containers_run_one_after_the_other() {
    let pod = pod(with_init());
    let order = |states: &[(&str, State)]| {
        let mut all = view(&[
            ("i1", State::Waiting),
            ("s", State::Waiting),
            ("i2", State::Waiting),
            ("a", State::Waiting),
        ]);
        all.containers.extend(view(states).containers);
        plan(&pod, &all, at(100)).actions
    };
    assert_eq!(order(&[]), [start("i1")]);
    assert_eq!(order(&[("i1", running())]), []);
    assert_eq!(order(&[("i1", exited(0, 1))]), [start("s")]);
    assert_eq!(order(&[("i1", exited(0, 1)), ("s", running())]), [start("i2")]);
    assert_eq!(
        order(&[("i1", exited(0, 1)), ("s", running()), ("i2", exited(0, 2))]),
        [start("a")]
    );
    // A failed one is tried again.
    assert_eq!(order(&[("i1", exited(1, 1))]), [start("i1")]);
}

#[test]
fn a_sidecar_that_has_not_started_holds_the_next_back() {
    let mut view = view(&[
        ("i1", exited(0, 1)),
        ("s", running()),
        ("i2", State::Waiting),
        ("a", State::Waiting),
    ]);
    view.containers.get_mut("s").expect("sidecar").started = false;
    assert_eq!(plan(&pod(with_init()), &view, at(5)).actions, []);
}

#[test]
fn a_sidecar_that_ends_is_started_again_beside_running_containers() {
    let view = view(&[
        ("i1", exited(0, 1)),
        ("s", exited(1, 4)),
        ("i2", exited(0, 2)),
        ("a", running()),
    ]);
    assert_eq!(plan(&pod(with_init()), &view, at(5)).actions, [start("s")]);
}

#[test]
fn a_failed_init_container_ends_a_pod_that_never_restarts() {
    let mut spec = with_init();
    spec["restartPolicy"] = "Never".into();
    let view = view(&[
        ("i1", exited(1, 1)),
        ("s", State::Waiting),
        ("i2", State::Waiting),
        ("a", State::Waiting),
    ]);
    let plan = plan(&pod(spec), &view, at(5));
    assert_eq!(plan.actions, [Action::Teardown]);
    assert!(plan.finished);
}

#[test]
fn the_first_restart_is_immediate_and_the_next_waits() {
    let pod = pod(two());
    let mut view = view(&[("a", exited(1, 10)), ("b", running())]);
    assert_eq!(plan(&pod, &view, at(10)).actions, [start("a")]);
    view.containers.get_mut("a").expect("a").backoff_s = 10;
    // For a moment the end itself is shown.
    let ended = plan(&pod, &view, at(10));
    assert_eq!(ended.actions, []);
    assert_eq!(ended.wake, Some(at(11)));
    assert!(ended.backing_off.is_empty());
    let waiting = plan(&pod, &view, at(12));
    assert_eq!(waiting.actions, []);
    assert_eq!(waiting.wake, Some(at(20)));
    assert_eq!(waiting.backing_off, ["a"]);
    assert_eq!(plan(&pod, &view, at(20)).actions, [start("a")]);
}

#[test]
fn the_back_off_doubles_up_to_five_minutes_and_starts_over_after_ten_good_ones() {
    let State::Exited(mut ended) = exited(1, 10) else {
        panic!("exited")
    };
    let steps: Vec<u32> = std::iter::successors(Some(0), |s| Some(next_backoff(*s, &ended)))
        .take(8)
        .collect();
    assert_eq!(steps, [0, 10, 20, 40, 80, 160, 300, 300]);
    ended.started_at = Some(at(10 - 600));
    assert_eq!(next_backoff(300, &ended), 10);
    let instance = Instance {
        backoff_s: 300,
        ..Instance::default()
    };
    assert_eq!(backoff_end(&instance, &ended), ended.finished_at);
}

#[test]
fn restart_policies_decide() {
    let container = |value: Value| serde_json::from_value::<Container>(value).expect("container");
    let ended = |code| match exited(code, 1) {
        State::Exited(ended) => ended,
        _ => panic!("exited"),
    };
    let runs = |policy: &str, code: i32| {
        let mut spec = two();
        spec["restartPolicy"] = policy.into();
        restarts(&pod(spec), &container(json!({"name": "a"})), &ended(code))
    };
    assert!(runs("Always", 0) && runs("Always", 1));
    assert!(!runs("OnFailure", 0) && runs("OnFailure", 1));
    assert!(!runs("Never", 0) && !runs("Never", 1));
    let rule = json!({"name": "a", "restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]});
    assert!(restarts(&pod(two()), &container(rule.clone()), &ended(42)));
    assert!(!restarts(&pod(two()), &container(rule), &ended(1)));
}

#[test]
fn a_finished_pod_gives_its_sandbox_up_and_stays() {
    let mut spec = two();
    spec["restartPolicy"] = "Never".into();
    let mut view = view(&[("a", exited(0, 1)), ("b", exited(1, 1))]);
    let plan_now = plan(&pod(spec.clone()), &view, at(5));
    assert_eq!(plan_now.actions, [Action::Teardown]);
    view.sandbox = Sandbox::Removed;
    assert_eq!(plan(&pod(spec), &view, at(5)).actions, []);
}

#[test]
fn deletion_stops_containers_then_sidecars_then_everything() {
    let pod = deleted(with_init(), 30);
    let states = |a: State, s: State| view(&[("i1", exited(0, 1)), ("s", s), ("i2", exited(0, 2)), ("a", a)]);
    let stops = |view: &View| -> Vec<String> {
        plan(&pod, view, at(0))
            .actions
            .into_iter()
            .map(|action| match action {
                Action::Stop { name, .. } => name,
                other => format!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(stops(&states(running(), running())), ["a"]);
    let stopping = State::Stopping {
        started_at: at(0),
        grace_s: 30,
    };
    assert!(stops(&states(stopping, running())).is_empty());
    assert_eq!(stops(&states(exited(0, 3), running())), ["s"]);
    let mut ended = states(exited(0, 3), exited(0, 4));
    assert_eq!(stops(&ended), ["Teardown"]);
    ended.sandbox = Sandbox::Removed;
    assert_eq!(stops(&ended), ["Finalize"]);
}

#[test]
fn a_shorter_grace_period_is_heeded_while_stopping() {
    let view = view(&[
        (
            "a",
            State::Stopping {
                started_at: at(0),
                grace_s: 30,
            },
        ),
        ("b", exited(0, 1)),
    ]);
    let again = plan(&deleted(two(), 1), &view, at(2));
    assert!(matches!(&again.actions[..], [Action::Stop { grace_s: 1, .. }]));
    assert!(plan(&deleted(two(), 30), &view, at(2)).actions.is_empty());
}

#[test]
fn a_deleted_pod_waits_for_what_is_under_way() {
    let mut view = view(&[("a", State::Waiting), ("b", State::Waiting)]);
    view.sandbox = Sandbox::Creating;
    assert_eq!(plan(&deleted(two(), 30), &view, at(0)).actions, []);
    view.sandbox = Sandbox::Absent;
    view.volumes = Step::Doing;
    assert_eq!(plan(&deleted(two(), 30), &view, at(0)).actions, []);
}

#[test]
fn an_unhealthy_container_is_stopped_with_the_probes_grace() {
    let mut view = view(&[("a", running()), ("b", running())]);
    view.containers.get_mut("a").expect("a").unhealthy = Some(Unhealthy {
        message: "failed".into(),
        grace_s: Some(3),
    });
    assert_eq!(
        plan(&pod(two()), &view, at(1)).actions,
        [Action::Stop {
            name: "a".into(),
            why: "failed".into(),
            grace_s: 3
        }]
    );
}

#[test]
fn another_image_restarts_the_container() {
    let mut view = view(&[("a", running()), ("b", running())]);
    view.containers.get_mut("b").expect("b").image_name = "old".into();
    assert!(
        matches!(&plan(&pod(two()), &view, at(1)).actions[..], [Action::Stop { name, .. }] if name == "b")
    );
}

#[test]
fn a_hold_is_waited_for() {
    let mut view = view(&[("a", State::Waiting), ("b", running())]);
    let hold = Hold {
        reason: "CreateContainerConfigError".into(),
        message: String::new(),
        until: at(7),
    };
    view.containers.get_mut("a").expect("a").hold = Some(hold);
    assert_eq!(plan(&pod(two()), &view, at(1)).wake, Some(at(7)));
    assert_eq!(plan(&pod(two()), &view, at(7)).actions, [start("a")]);
}

#[test]
fn a_deadline_wakes_and_a_failure_winds_down() {
    let mut spec = two();
    spec["activeDeadlineSeconds"] = 60.into();
    let pod = pod(spec);
    let mut view = view(&[("a", running()), ("b", running())]);
    assert_eq!(plan(&pod, &view, at(1)).wake, Some(at(60)));
    view.failure = Some(("DeadlineExceeded".into(), String::new()));
    assert_eq!(plan(&pod, &view, at(60)).actions.len(), 2);
}

proptest::proptest! {
    /// Whatever the states are: at most one action per container, and nothing is started in a pod that goes away.
    #[test]
    fn no_container_is_asked_for_two_things_at_once(codes in proptest::collection::vec(0u8..6, 4), gone in proptest::bool::ANY) {
        let states: Vec<State> = codes.iter().map(|code| match code {
            0 => State::Waiting,
            1 => State::Creating,
            2 => running(),
            3 => State::Stopping { started_at: at(0), grace_s: 30 },
            4 => exited(0, 1),
            _ => exited(1, 1),
        }).collect();
        let mut view = view(&[("i1", states[0].clone()), ("s", states[1].clone()), ("i2", states[2].clone()), ("a", states[3].clone())]);
        view.gone = gone;
        let plan = plan(&pod(with_init()), &view, at(100));
        let mut names = Vec::new();
        for action in &plan.actions {
            match action {
                Action::Start(name) => {
                    proptest::prop_assert!(!gone);
                    proptest::prop_assert!(!view.containers[name].state.is_alive());
                    names.push(name.clone());
                }
                Action::Stop { name, .. } | Action::Pull(name) => names.push(name.clone()),
                _ => {}
            }
        }
        let count = names.len();
        names.sort();
        names.dedup();
        proptest::prop_assert_eq!(names.len(), count);
        if plan.finished {
            proptest::prop_assert!(view.containers.values().all(|i| !i.state.is_alive()));
        }
    }
}
