//! The query parameters that verbs and sub-resources take.

/// A query parameter: name, type, description.
pub(super) type Query = (&'static str, &'static str, &'static str);

const DRY_RUN: Query = (
    "dryRun",
    "string",
    "With `All` the request runs through every stage, but nothing is stored.",
);
const FIELD_MANAGER: Query = (
    "fieldManager",
    "string",
    "Who makes these changes; required for apply patches.",
);
const FIELD_VALIDATION: Query = (
    "fieldValidation",
    "string",
    "What to do with unknown and duplicate fields: `Ignore`, `Warn` (the default) or `Strict`.",
);
const FORCE: Query = (
    "force",
    "boolean",
    "Take over fields that others own. Apply patches only.",
);
const CONTINUE: Query = (
    "continue",
    "string",
    "The token with which the answer before this one ended.",
);
const FIELD_SELECTOR: Query = ("fieldSelector", "string", "Only objects whose fields match.");
const LABEL_SELECTOR: Query = ("labelSelector", "string", "Only objects whose labels match.");
const VERSION_MATCH: Query = (
    "resourceVersionMatch",
    "string",
    "How resourceVersion is meant: `NotOlderThan` or `Exact`.",
);
const ORPHAN: Query = (
    "orphanDependents",
    "boolean",
    "Deprecated: use propagationPolicy.",
);
const PROPAGATION: Query = (
    "propagationPolicy",
    "string",
    "What becomes of dependents: `Orphan`, `Background` or `Foreground`.",
);
pub(super) const PRETTY: Query = ("pretty", "string", "Indent the output.");

pub(super) const LIST: &[Query] = &[
    (
        "allowWatchBookmarks",
        "boolean",
        "Send BOOKMARK events in a watch.",
    ),
    CONTINUE,
    FIELD_SELECTOR,
    LABEL_SELECTOR,
    ("limit", "integer", "The most objects to answer with."),
    (
        "resourceVersion",
        "string",
        "From which version to list or watch.",
    ),
    VERSION_MATCH,
    (
        "sendInitialEvents",
        "boolean",
        "Begin a watch with the objects there are, then a bookmark.",
    ),
    ("timeoutSeconds", "integer", "How long to list or watch."),
    ("watch", "boolean", "Watch for changes, as a stream of events."),
];
pub(super) const CREATE: &[Query] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION];
pub(super) const CHANGE: &[Query] = &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE];
pub(super) const DELETE: &[Query] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds until the object is deleted; zero is at once.",
    ),
    ORPHAN,
    PROPAGATION,
];
pub(super) const DELETE_COLLECTION: &[Query] = &[
    DRY_RUN,
    CONTINUE,
    FIELD_SELECTOR,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds until the objects are deleted; zero is at once.",
    ),
    LABEL_SELECTOR,
    ("limit", "integer", "The most objects to delete."),
    ORPHAN,
    PROPAGATION,
    ("resourceVersion", "string", "From which version to list."),
    VERSION_MATCH,
    ("timeoutSeconds", "integer", "How long the request may take."),
];
pub(super) const LOG: &[Query] = &[
    (
        "container",
        "string",
        "Whose log; needed when the pod has several containers.",
    ),
    ("follow", "boolean", "Go on with what is written from now on."),
    (
        "insecureSkipTLSVerifyBackend",
        "boolean",
        "Do not check the certificate of the node.",
    ),
    ("limitBytes", "integer", "The most bytes to answer with."),
    (
        "previous",
        "boolean",
        "The log of the container's instance before this one.",
    ),
    (
        "sinceSeconds",
        "integer",
        "Only what was written in the last seconds.",
    ),
    ("stream", "string", "Which stream: `All`, `Stdout` or `Stderr`."),
    ("tailLines", "integer", "How many lines from the end."),
    ("timestamps", "boolean", "Put the time before each line."),
];
pub(super) const EXEC: &[Query] = &[
    (
        "command",
        "string",
        "The command and its arguments; may be repeated.",
    ),
    ("container", "string", "In which container."),
    ("stderr", "boolean", "Pass standard error."),
    ("stdin", "boolean", "Pass standard input."),
    ("stdout", "boolean", "Pass standard output."),
    ("tty", "boolean", "Use a terminal."),
];
pub(super) const ATTACH: &[Query] = &[EXEC[1], EXEC[2], EXEC[3], EXEC[4], EXEC[5]];
pub(super) const PORT_FORWARD: &[Query] = &[("ports", "integer", "The ports to forward.")];
pub(super) const PROXY: &[Query] = &[("path", "string", "The path of the request.")];
