use super::*;

fn zone() -> Zone {
    let mut zone = Zone::new("cluster.local").unwrap();
    zone.set(
        "default/web",
        Some(ServiceRecord {
            addresses: vec!["10.43.0.10".parse().unwrap()],
            ports: vec![("http".into(), Protocol::Tcp, 80)],
            ..ServiceRecord::default()
        }),
    );
    zone.set(
        "default/db",
        Some(ServiceRecord {
            endpoints: vec![
                (Some("db-0".into()), "10.42.0.5".parse().unwrap()),
                (None, "10.42.0.6".parse().unwrap()),
            ],
            ports: vec![("sql".into(), Protocol::Tcp, 5432)],
            ..ServiceRecord::default()
        }),
    );
    zone.set(
        "default/out",
        Some(ServiceRecord {
            external_name: Some("example.org".into()),
            ..ServiceRecord::default()
        }),
    );
    zone
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// The data of the answer in the order given, or the kind of negative answer.
fn ask(zone: &Zone, text: &str, kind: RecordType) -> String {
    match zone.answer(&name(text), kind) {
        Answer::Records { answers, .. } => answers
            .iter()
            .map(|record| record.data.to_string())
            .collect::<Vec<_>>()
            .join(", "),
        Answer::Alias { target, .. } => format!("alias {target}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn questions_are_answered_as_the_specification_says() {
    use RecordType::{A, AAAA, PTR, SOA, SRV, TXT};
    let zone = zone();
    let table = [
        ("web.default.svc.cluster.local.", A, "10.43.0.10"),
        ("WEB.Default.svc.CLUSTER.local.", A, "10.43.0.10"),
        ("web.default.svc.cluster.local.", AAAA, "NoData"),
        (
            "_http._tcp.web.default.svc.cluster.local.",
            SRV,
            "0 100 80 web.default.svc.cluster.local.",
        ),
        ("_http._tcp.web.default.svc.cluster.local.", A, "NoData"),
        ("_http._udp.web.default.svc.cluster.local.", SRV, "NoName"),
        ("_tcp.web.default.svc.cluster.local.", SRV, "NoData"),
        ("db.default.svc.cluster.local.", A, "10.42.0.5, 10.42.0.6"),
        ("db-0.db.default.svc.cluster.local.", A, "10.42.0.5"),
        ("10-42-0-6.db.default.svc.cluster.local.", A, "10.42.0.6"),
        ("db-1.db.default.svc.cluster.local.", A, "NoName"),
        (
            "_sql._tcp.db.default.svc.cluster.local.",
            SRV,
            "0 100 5432 db-0.db.default.svc.cluster.local., 0 100 5432 10-42-0-6.db.default.svc.cluster.local.",
        ),
        ("out.default.svc.cluster.local.", A, "alias example.org."),
        ("1-2-3-4.default.pod.cluster.local.", A, "1.2.3.4"),
        ("1-2-3-400.default.pod.cluster.local.", A, "NoName"),
        ("fd00-42--7.default.pod.cluster.local.", AAAA, "fd00:42::7"),
        ("fd00-42--7.default.pod.cluster.local.", A, "NoData"),
        ("10.0.43.10.in-addr.arpa.", PTR, "web.default.svc.cluster.local."),
        ("10.0.43.10.in-addr.arpa.", A, "NoData"),
        ("nothing.default.svc.cluster.local.", A, "NoName"),
        ("default.svc.cluster.local.", A, "NoData"),
        ("other.svc.cluster.local.", A, "NoName"),
        ("svc.cluster.local.", A, "NoData"),
        ("example.org.default.svc.cluster.local.", A, "NoName"),
        ("cluster.local.", A, "NoData"),
        (
            "cluster.local.",
            SOA,
            "ns.dns.cluster.local. hostmaster.cluster.local. 1 7200 1800 86400 5",
        ),
        ("dns-version.cluster.local.", TXT, "1.1.0"),
        ("example.org.", A, "Elsewhere"),
    ];
    for (text, kind, expected) in table {
        assert_eq!(ask(&zone, text, kind), expected, "{kind} {text}");
    }
}

#[test]
fn addresses_lead_back_to_names_until_the_service_is_gone() {
    let mut zone = zone();
    let question = "5.0.42.10.in-addr.arpa.";
    assert_eq!(
        ask(&zone, question, RecordType::PTR),
        "db-0.db.default.svc.cluster.local."
    );
    zone.set("default/db", None);
    assert_eq!(ask(&zone, question, RecordType::PTR), "Elsewhere");
    zone.replace(BTreeMap::new());
    assert_eq!(
        ask(&zone, "web.default.svc.cluster.local.", RecordType::A),
        "NoName"
    );
    assert!(zone.reverse.is_empty());
}
