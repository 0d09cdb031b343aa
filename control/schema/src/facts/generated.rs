// Written by generate.py from the published OpenAPI definitions of Kubernetes 1.37; do not edit by hand.

use super::Shape::*;
use super::{Field as F, Key as K, List as L, ListKind::*, Map as M, Struct as S};
use super::{MERGE, REPLACE, REQUIRED, RETAIN};

static ADMISSIONREGISTRATION_V1_APPLY_CONFIGURATION: S = S {
    name: "io.k8s.api.admissionregistration.v1.ApplyConfiguration", atomic: false,
    fields: &[
    F { name: "expression", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_AUDIT_ANNOTATION: S = S {
    name: "io.k8s.api.admissionregistration.v1.AuditAnnotation", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "valueExpression", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_EXPRESSION_WARNING: S = S {
    name: "io.k8s.api.admissionregistration.v1.ExpressionWarning", atomic: false,
    fields: &[
    F { name: "fieldRef", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "warning", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_JSON_PATCH: S = S {
    name: "io.k8s.api.admissionregistration.v1.JSONPatch", atomic: false,
    fields: &[
    F { name: "expression", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MATCH_CONDITION: S = S {
    name: "io.k8s.api.admissionregistration.v1.MatchCondition", atomic: false,
    fields: &[
    F { name: "expression", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MATCH_RESOURCES: S = S {
    name: "io.k8s.api.admissionregistration.v1.MatchResources", atomic: true,
    fields: &[
    F { name: "excludeResourceRules", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_NAMED_RULE_WITH_OPERATIONS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "matchPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "namespaceSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "objectSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "resourceRules", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_NAMED_RULE_WITH_OPERATIONS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_SPEC), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING_SPEC), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING_LIST: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING_SPEC: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBindingSpec", atomic: false,
    fields: &[
    F { name: "matchResources", shape: Object(&ADMISSIONREGISTRATION_V1_MATCH_RESOURCES), flags: 0, merge_key: "" },
    F { name: "paramRef", shape: Object(&ADMISSIONREGISTRATION_V1_PARAM_REF), flags: 0, merge_key: "" },
    F { name: "policyName", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_LIST: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_SPEC: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicySpec", atomic: false,
    fields: &[
    F { name: "failurePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "matchConditions", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MATCH_CONDITION), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "matchConstraints", shape: Object(&ADMISSIONREGISTRATION_V1_MATCH_RESOURCES), flags: 0, merge_key: "" },
    F { name: "mutations", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MUTATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "paramKind", shape: Object(&ADMISSIONREGISTRATION_V1_PARAM_KIND), flags: 0, merge_key: "" },
    F { name: "reinvocationPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "variables", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VARIABLE), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingWebhook", atomic: false,
    fields: &[
    F { name: "admissionReviewVersions", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "clientConfig", shape: Object(&ADMISSIONREGISTRATION_V1_WEBHOOK_CLIENT_CONFIG), flags: REQUIRED, merge_key: "" },
    F { name: "failurePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "matchConditions", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MATCH_CONDITION), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "matchPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespaceSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "objectSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "reinvocationPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "rules", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_RULE_WITH_OPERATIONS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "sideEffects", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "timeoutSeconds", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "webhooks", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION_LIST: S = S {
    name: "io.k8s.api.admissionregistration.v1.MutatingWebhookConfigurationList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_MUTATION: S = S {
    name: "io.k8s.api.admissionregistration.v1.Mutation", atomic: false,
    fields: &[
    F { name: "applyConfiguration", shape: Object(&ADMISSIONREGISTRATION_V1_APPLY_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "jsonPatch", shape: Object(&ADMISSIONREGISTRATION_V1_JSON_PATCH), flags: 0, merge_key: "" },
    F { name: "patchType", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_NAMED_RULE_WITH_OPERATIONS: S = S {
    name: "io.k8s.api.admissionregistration.v1.NamedRuleWithOperations", atomic: true,
    fields: &[
    F { name: "apiGroups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "apiVersions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "operations", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resourceNames", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resources", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "scope", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_PARAM_KIND: S = S {
    name: "io.k8s.api.admissionregistration.v1.ParamKind", atomic: true,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_PARAM_REF: S = S {
    name: "io.k8s.api.admissionregistration.v1.ParamRef", atomic: true,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "parameterNotFoundAction", shape: String, flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_RULE_WITH_OPERATIONS: S = S {
    name: "io.k8s.api.admissionregistration.v1.RuleWithOperations", atomic: false,
    fields: &[
    F { name: "apiGroups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "apiVersions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "operations", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resources", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "scope", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_SERVICE_REFERENCE: S = S {
    name: "io.k8s.api.admissionregistration.v1.ServiceReference", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_TYPE_CHECKING: S = S {
    name: "io.k8s.api.admissionregistration.v1.TypeChecking", atomic: false,
    fields: &[
    F { name: "expressionWarnings", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_EXPRESSION_WARNING), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_STATUS), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING_LIST: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBindingList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING_SPEC: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec", atomic: false,
    fields: &[
    F { name: "matchResources", shape: Object(&ADMISSIONREGISTRATION_V1_MATCH_RESOURCES), flags: 0, merge_key: "" },
    F { name: "paramRef", shape: Object(&ADMISSIONREGISTRATION_V1_PARAM_REF), flags: 0, merge_key: "" },
    F { name: "policyName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "validationActions", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_LIST: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_SPEC: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicySpec", atomic: false,
    fields: &[
    F { name: "auditAnnotations", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_AUDIT_ANNOTATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "failurePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "matchConditions", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MATCH_CONDITION), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "matchConstraints", shape: Object(&ADMISSIONREGISTRATION_V1_MATCH_RESOURCES), flags: 0, merge_key: "" },
    F { name: "paramKind", shape: Object(&ADMISSIONREGISTRATION_V1_PARAM_KIND), flags: 0, merge_key: "" },
    F { name: "validations", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VALIDATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "variables", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VARIABLE), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_STATUS: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "typeChecking", shape: Object(&ADMISSIONREGISTRATION_V1_TYPE_CHECKING), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingWebhook", atomic: false,
    fields: &[
    F { name: "admissionReviewVersions", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "clientConfig", shape: Object(&ADMISSIONREGISTRATION_V1_WEBHOOK_CLIENT_CONFIG), flags: REQUIRED, merge_key: "" },
    F { name: "failurePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "matchConditions", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_MATCH_CONDITION), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "matchPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespaceSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "objectSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "rules", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_RULE_WITH_OPERATIONS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "sideEffects", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "timeoutSeconds", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "webhooks", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION_LIST: S = S {
    name: "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfigurationList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VALIDATION: S = S {
    name: "io.k8s.api.admissionregistration.v1.Validation", atomic: false,
    fields: &[
    F { name: "expression", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "messageExpression", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_VARIABLE: S = S {
    name: "io.k8s.api.admissionregistration.v1.Variable", atomic: true,
    fields: &[
    F { name: "expression", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static ADMISSIONREGISTRATION_V1_WEBHOOK_CLIENT_CONFIG: S = S {
    name: "io.k8s.api.admissionregistration.v1.WebhookClientConfig", atomic: false,
    fields: &[
    F { name: "caBundle", shape: Bytes, flags: 0, merge_key: "" },
    F { name: "service", shape: Object(&ADMISSIONREGISTRATION_V1_SERVICE_REFERENCE), flags: 0, merge_key: "" },
    F { name: "url", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_CONTROLLER_REVISION: S = S {
    name: "io.k8s.api.apps.v1.ControllerRevision", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "data", shape: Any("io.k8s.apimachinery.pkg.runtime.RawExtension"), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "revision", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_CONTROLLER_REVISION_LIST: S = S {
    name: "io.k8s.api.apps.v1.ControllerRevisionList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APPS_V1_CONTROLLER_REVISION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DAEMON_SET: S = S {
    name: "io.k8s.api.apps.v1.DaemonSet", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&APPS_V1_DAEMON_SET_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&APPS_V1_DAEMON_SET_STATUS), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DAEMON_SET_CONDITION: S = S {
    name: "io.k8s.api.apps.v1.DaemonSetCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DAEMON_SET_LIST: S = S {
    name: "io.k8s.api.apps.v1.DaemonSetList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APPS_V1_DAEMON_SET), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DAEMON_SET_SPEC: S = S {
    name: "io.k8s.api.apps.v1.DaemonSetSpec", atomic: false,
    fields: &[
    F { name: "minReadySeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "revisionHistoryLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: REQUIRED, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "updateStrategy", shape: Object(&APPS_V1_DAEMON_SET_UPDATE_STRATEGY), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DAEMON_SET_STATUS: S = S {
    name: "io.k8s.api.apps.v1.DaemonSetStatus", atomic: false,
    fields: &[
    F { name: "collisionCount", shape: Int32, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&APPS_V1_DAEMON_SET_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "currentNumberScheduled", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "desiredNumberScheduled", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "numberAvailable", shape: Int32, flags: 0, merge_key: "" },
    F { name: "numberMisscheduled", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "numberReady", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "numberUnavailable", shape: Int32, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "updatedNumberScheduled", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DAEMON_SET_UPDATE_STRATEGY: S = S {
    name: "io.k8s.api.apps.v1.DaemonSetUpdateStrategy", atomic: false,
    fields: &[
    F { name: "rollingUpdate", shape: Object(&APPS_V1_ROLLING_UPDATE_DAEMON_SET), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DEPLOYMENT: S = S {
    name: "io.k8s.api.apps.v1.Deployment", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&APPS_V1_DEPLOYMENT_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&APPS_V1_DEPLOYMENT_STATUS), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DEPLOYMENT_CONDITION: S = S {
    name: "io.k8s.api.apps.v1.DeploymentCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastUpdateTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DEPLOYMENT_LIST: S = S {
    name: "io.k8s.api.apps.v1.DeploymentList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APPS_V1_DEPLOYMENT), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DEPLOYMENT_SPEC: S = S {
    name: "io.k8s.api.apps.v1.DeploymentSpec", atomic: false,
    fields: &[
    F { name: "minReadySeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "paused", shape: Bool, flags: 0, merge_key: "" },
    F { name: "progressDeadlineSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "revisionHistoryLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: REQUIRED, merge_key: "" },
    F { name: "strategy", shape: Object(&APPS_V1_DEPLOYMENT_STRATEGY), flags: RETAIN, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static APPS_V1_DEPLOYMENT_STATUS: S = S {
    name: "io.k8s.api.apps.v1.DeploymentStatus", atomic: false,
    fields: &[
    F { name: "availableReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "collisionCount", shape: Int32, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&APPS_V1_DEPLOYMENT_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "readyReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "terminatingReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "unavailableReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "updatedReplicas", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_DEPLOYMENT_STRATEGY: S = S {
    name: "io.k8s.api.apps.v1.DeploymentStrategy", atomic: false,
    fields: &[
    F { name: "rollingUpdate", shape: Object(&APPS_V1_ROLLING_UPDATE_DEPLOYMENT), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_REPLICA_SET: S = S {
    name: "io.k8s.api.apps.v1.ReplicaSet", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&APPS_V1_REPLICA_SET_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&APPS_V1_REPLICA_SET_STATUS), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_REPLICA_SET_CONDITION: S = S {
    name: "io.k8s.api.apps.v1.ReplicaSetCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_REPLICA_SET_LIST: S = S {
    name: "io.k8s.api.apps.v1.ReplicaSetList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APPS_V1_REPLICA_SET), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_REPLICA_SET_SPEC: S = S {
    name: "io.k8s.api.apps.v1.ReplicaSetSpec", atomic: false,
    fields: &[
    F { name: "minReadySeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: REQUIRED, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_REPLICA_SET_STATUS: S = S {
    name: "io.k8s.api.apps.v1.ReplicaSetStatus", atomic: false,
    fields: &[
    F { name: "availableReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&APPS_V1_REPLICA_SET_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "fullyLabeledReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "readyReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "terminatingReplicas", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_ROLLING_UPDATE_DAEMON_SET: S = S {
    name: "io.k8s.api.apps.v1.RollingUpdateDaemonSet", atomic: false,
    fields: &[
    F { name: "maxSurge", shape: IntOrString, flags: 0, merge_key: "" },
    F { name: "maxUnavailable", shape: IntOrString, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_ROLLING_UPDATE_DEPLOYMENT: S = S {
    name: "io.k8s.api.apps.v1.RollingUpdateDeployment", atomic: false,
    fields: &[
    F { name: "maxSurge", shape: IntOrString, flags: 0, merge_key: "" },
    F { name: "maxUnavailable", shape: IntOrString, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_ROLLING_UPDATE_STATEFUL_SET_STRATEGY: S = S {
    name: "io.k8s.api.apps.v1.RollingUpdateStatefulSetStrategy", atomic: false,
    fields: &[
    F { name: "maxUnavailable", shape: IntOrString, flags: 0, merge_key: "" },
    F { name: "partition", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET: S = S {
    name: "io.k8s.api.apps.v1.StatefulSet", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&APPS_V1_STATEFUL_SET_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&APPS_V1_STATEFUL_SET_STATUS), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_CONDITION: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_LIST: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APPS_V1_STATEFUL_SET), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_ORDINALS: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetOrdinals", atomic: false,
    fields: &[
    F { name: "start", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy", atomic: false,
    fields: &[
    F { name: "whenDeleted", shape: String, flags: 0, merge_key: "" },
    F { name: "whenScaled", shape: String, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_SPEC: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetSpec", atomic: false,
    fields: &[
    F { name: "minReadySeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "ordinals", shape: Object(&APPS_V1_STATEFUL_SET_ORDINALS), flags: 0, merge_key: "" },
    F { name: "persistentVolumeClaimRetentionPolicy", shape: Object(&APPS_V1_STATEFUL_SET_PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY), flags: 0, merge_key: "" },
    F { name: "podManagementPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "revisionHistoryLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: REQUIRED, merge_key: "" },
    F { name: "serviceName", shape: String, flags: 0, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "updateStrategy", shape: Object(&APPS_V1_STATEFUL_SET_UPDATE_STRATEGY), flags: 0, merge_key: "" },
    F { name: "volumeClaimTemplates", shape: List(&L { items: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_STATUS: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetStatus", atomic: false,
    fields: &[
    F { name: "availableReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "collisionCount", shape: Int32, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&APPS_V1_STATEFUL_SET_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "currentReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "currentRevision", shape: String, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "readyReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "updateRevision", shape: String, flags: 0, merge_key: "" },
    F { name: "updatedReplicas", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APPS_V1_STATEFUL_SET_UPDATE_STRATEGY: S = S {
    name: "io.k8s.api.apps.v1.StatefulSetUpdateStrategy", atomic: false,
    fields: &[
    F { name: "rollingUpdate", shape: Object(&APPS_V1_ROLLING_UPDATE_STATEFUL_SET_STRATEGY), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_BOUND_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.authentication.v1.BoundObjectReference", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_SELF_SUBJECT_REVIEW: S = S {
    name: "io.k8s.api.authentication.v1.SelfSubjectReview", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&AUTHENTICATION_V1_SELF_SUBJECT_REVIEW_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_SELF_SUBJECT_REVIEW_STATUS: S = S {
    name: "io.k8s.api.authentication.v1.SelfSubjectReviewStatus", atomic: false,
    fields: &[
    F { name: "userInfo", shape: Object(&AUTHENTICATION_V1_USER_INFO), flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_TOKEN_REQUEST: S = S {
    name: "io.k8s.api.authentication.v1.TokenRequest", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTHENTICATION_V1_TOKEN_REQUEST_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&AUTHENTICATION_V1_TOKEN_REQUEST_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_TOKEN_REQUEST_SPEC: S = S {
    name: "io.k8s.api.authentication.v1.TokenRequestSpec", atomic: false,
    fields: &[
    F { name: "attestations", shape: Map(&M { values: List(&L { items: String, kind: Atomic }), atomic: false }), flags: 0, merge_key: "" },
    F { name: "audiences", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "boundObjectRef", shape: Object(&AUTHENTICATION_V1_BOUND_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "expirationSeconds", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_TOKEN_REQUEST_STATUS: S = S {
    name: "io.k8s.api.authentication.v1.TokenRequestStatus", atomic: false,
    fields: &[
    F { name: "expirationTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "token", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_TOKEN_REVIEW: S = S {
    name: "io.k8s.api.authentication.v1.TokenReview", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTHENTICATION_V1_TOKEN_REVIEW_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTHENTICATION_V1_TOKEN_REVIEW_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_TOKEN_REVIEW_SPEC: S = S {
    name: "io.k8s.api.authentication.v1.TokenReviewSpec", atomic: false,
    fields: &[
    F { name: "audiences", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "token", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_TOKEN_REVIEW_STATUS: S = S {
    name: "io.k8s.api.authentication.v1.TokenReviewStatus", atomic: false,
    fields: &[
    F { name: "audiences", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "authenticated", shape: Bool, flags: 0, merge_key: "" },
    F { name: "error", shape: String, flags: 0, merge_key: "" },
    F { name: "user", shape: Object(&AUTHENTICATION_V1_USER_INFO), flags: 0, merge_key: "" },
    ],
};

static AUTHENTICATION_V1_USER_INFO: S = S {
    name: "io.k8s.api.authentication.v1.UserInfo", atomic: false,
    fields: &[
    F { name: "extra", shape: Map(&M { values: List(&L { items: String, kind: Atomic }), atomic: false }), flags: 0, merge_key: "" },
    F { name: "groups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    F { name: "username", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_FIELD_SELECTOR_ATTRIBUTES: S = S {
    name: "io.k8s.api.authorization.v1.FieldSelectorAttributes", atomic: false,
    fields: &[
    F { name: "rawSelector", shape: String, flags: 0, merge_key: "" },
    F { name: "requirements", shape: List(&L { items: Object(&META_V1_FIELD_SELECTOR_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_LABEL_SELECTOR_ATTRIBUTES: S = S {
    name: "io.k8s.api.authorization.v1.LabelSelectorAttributes", atomic: false,
    fields: &[
    F { name: "rawSelector", shape: String, flags: 0, merge_key: "" },
    F { name: "requirements", shape: List(&L { items: Object(&META_V1_LABEL_SELECTOR_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_LOCAL_SUBJECT_ACCESS_REVIEW: S = S {
    name: "io.k8s.api.authorization.v1.LocalSubjectAccessReview", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_NON_RESOURCE_ATTRIBUTES: S = S {
    name: "io.k8s.api.authorization.v1.NonResourceAttributes", atomic: false,
    fields: &[
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "verb", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_NON_RESOURCE_RULE: S = S {
    name: "io.k8s.api.authorization.v1.NonResourceRule", atomic: false,
    fields: &[
    F { name: "nonResourceURLs", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "verbs", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_RESOURCE_ATTRIBUTES: S = S {
    name: "io.k8s.api.authorization.v1.ResourceAttributes", atomic: false,
    fields: &[
    F { name: "fieldSelector", shape: Object(&AUTHORIZATION_V1_FIELD_SELECTOR_ATTRIBUTES), flags: 0, merge_key: "" },
    F { name: "group", shape: String, flags: 0, merge_key: "" },
    F { name: "labelSelector", shape: Object(&AUTHORIZATION_V1_LABEL_SELECTOR_ATTRIBUTES), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "resource", shape: String, flags: 0, merge_key: "" },
    F { name: "subresource", shape: String, flags: 0, merge_key: "" },
    F { name: "verb", shape: String, flags: 0, merge_key: "" },
    F { name: "version", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_RESOURCE_RULE: S = S {
    name: "io.k8s.api.authorization.v1.ResourceRule", atomic: false,
    fields: &[
    F { name: "apiGroups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resourceNames", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resources", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "verbs", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SELF_SUBJECT_ACCESS_REVIEW: S = S {
    name: "io.k8s.api.authorization.v1.SelfSubjectAccessReview", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTHORIZATION_V1_SELF_SUBJECT_ACCESS_REVIEW_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SELF_SUBJECT_ACCESS_REVIEW_SPEC: S = S {
    name: "io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec", atomic: false,
    fields: &[
    F { name: "nonResourceAttributes", shape: Object(&AUTHORIZATION_V1_NON_RESOURCE_ATTRIBUTES), flags: 0, merge_key: "" },
    F { name: "resourceAttributes", shape: Object(&AUTHORIZATION_V1_RESOURCE_ATTRIBUTES), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SELF_SUBJECT_RULES_REVIEW: S = S {
    name: "io.k8s.api.authorization.v1.SelfSubjectRulesReview", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTHORIZATION_V1_SELF_SUBJECT_RULES_REVIEW_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTHORIZATION_V1_SUBJECT_RULES_REVIEW_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SELF_SUBJECT_RULES_REVIEW_SPEC: S = S {
    name: "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec", atomic: false,
    fields: &[
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW: S = S {
    name: "io.k8s.api.authorization.v1.SubjectAccessReview", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_SPEC: S = S {
    name: "io.k8s.api.authorization.v1.SubjectAccessReviewSpec", atomic: false,
    fields: &[
    F { name: "extra", shape: Map(&M { values: List(&L { items: String, kind: Atomic }), atomic: false }), flags: 0, merge_key: "" },
    F { name: "groups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "nonResourceAttributes", shape: Object(&AUTHORIZATION_V1_NON_RESOURCE_ATTRIBUTES), flags: 0, merge_key: "" },
    F { name: "resourceAttributes", shape: Object(&AUTHORIZATION_V1_RESOURCE_ATTRIBUTES), flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_STATUS: S = S {
    name: "io.k8s.api.authorization.v1.SubjectAccessReviewStatus", atomic: false,
    fields: &[
    F { name: "allowed", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "denied", shape: Bool, flags: 0, merge_key: "" },
    F { name: "evaluationError", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTHORIZATION_V1_SUBJECT_RULES_REVIEW_STATUS: S = S {
    name: "io.k8s.api.authorization.v1.SubjectRulesReviewStatus", atomic: false,
    fields: &[
    F { name: "evaluationError", shape: String, flags: 0, merge_key: "" },
    F { name: "incomplete", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "nonResourceRules", shape: List(&L { items: Object(&AUTHORIZATION_V1_NON_RESOURCE_RULE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "resourceRules", shape: List(&L { items: Object(&AUTHORIZATION_V1_RESOURCE_RULE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V1_CROSS_VERSION_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.autoscaling.v1.CrossVersionObjectReference", atomic: true,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER: S = S {
    name: "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_LIST: S = S {
    name: "io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_SPEC: S = S {
    name: "io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec", atomic: false,
    fields: &[
    F { name: "maxReplicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "minReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "scaleTargetRef", shape: Object(&AUTOSCALING_V1_CROSS_VERSION_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "targetCPUUtilizationPercentage", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerStatus", atomic: false,
    fields: &[
    F { name: "currentCPUUtilizationPercentage", shape: Int32, flags: 0, merge_key: "" },
    F { name: "currentReplicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "desiredReplicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "lastScaleTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V1_SCALE: S = S {
    name: "io.k8s.api.autoscaling.v1.Scale", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTOSCALING_V1_SCALE_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&AUTOSCALING_V1_SCALE_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V1_SCALE_SPEC: S = S {
    name: "io.k8s.api.autoscaling.v1.ScaleSpec", atomic: false,
    fields: &[
    F { name: "replicas", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V1_SCALE_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v1.ScaleStatus", atomic: false,
    fields: &[
    F { name: "replicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "selector", shape: String, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_CONTAINER_RESOURCE_METRIC_SOURCE: S = S {
    name: "io.k8s.api.autoscaling.v2.ContainerResourceMetricSource", atomic: false,
    fields: &[
    F { name: "container", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "target", shape: Object(&AUTOSCALING_V2_METRIC_TARGET), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_CONTAINER_RESOURCE_METRIC_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.ContainerResourceMetricStatus", atomic: false,
    fields: &[
    F { name: "container", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "current", shape: Object(&AUTOSCALING_V2_METRIC_VALUE_STATUS), flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_CROSS_VERSION_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.autoscaling.v2.CrossVersionObjectReference", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_EXTERNAL_METRIC_SOURCE: S = S {
    name: "io.k8s.api.autoscaling.v2.ExternalMetricSource", atomic: false,
    fields: &[
    F { name: "metric", shape: Object(&AUTOSCALING_V2_METRIC_IDENTIFIER), flags: REQUIRED, merge_key: "" },
    F { name: "target", shape: Object(&AUTOSCALING_V2_METRIC_TARGET), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_EXTERNAL_METRIC_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.ExternalMetricStatus", atomic: false,
    fields: &[
    F { name: "current", shape: Object(&AUTOSCALING_V2_METRIC_VALUE_STATUS), flags: REQUIRED, merge_key: "" },
    F { name: "metric", shape: Object(&AUTOSCALING_V2_METRIC_IDENTIFIER), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HPA_SCALING_POLICY: S = S {
    name: "io.k8s.api.autoscaling.v2.HPAScalingPolicy", atomic: false,
    fields: &[
    F { name: "periodSeconds", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "value", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HPA_SCALING_RULES: S = S {
    name: "io.k8s.api.autoscaling.v2.HPAScalingRules", atomic: false,
    fields: &[
    F { name: "policies", shape: List(&L { items: Object(&AUTOSCALING_V2_HPA_SCALING_POLICY), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "selectPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "stabilizationWindowSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "tolerance", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER: S = S {
    name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_STATUS), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_BEHAVIOR: S = S {
    name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior", atomic: false,
    fields: &[
    F { name: "scaleDown", shape: Object(&AUTOSCALING_V2_HPA_SCALING_RULES), flags: 0, merge_key: "" },
    F { name: "scaleUp", shape: Object(&AUTOSCALING_V2_HPA_SCALING_RULES), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_CONDITION: S = S {
    name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_LIST: S = S {
    name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_SPEC: S = S {
    name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec", atomic: false,
    fields: &[
    F { name: "behavior", shape: Object(&AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_BEHAVIOR), flags: 0, merge_key: "" },
    F { name: "maxReplicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "metrics", shape: List(&L { items: Object(&AUTOSCALING_V2_METRIC_SPEC), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "minReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "scaleTargetRef", shape: Object(&AUTOSCALING_V2_CROSS_VERSION_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "currentMetrics", shape: List(&L { items: Object(&AUTOSCALING_V2_METRIC_STATUS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "currentReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "desiredReplicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "lastScaleTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_METRIC_IDENTIFIER: S = S {
    name: "io.k8s.api.autoscaling.v2.MetricIdentifier", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_METRIC_SPEC: S = S {
    name: "io.k8s.api.autoscaling.v2.MetricSpec", atomic: false,
    fields: &[
    F { name: "containerResource", shape: Object(&AUTOSCALING_V2_CONTAINER_RESOURCE_METRIC_SOURCE), flags: 0, merge_key: "" },
    F { name: "external", shape: Object(&AUTOSCALING_V2_EXTERNAL_METRIC_SOURCE), flags: 0, merge_key: "" },
    F { name: "object", shape: Object(&AUTOSCALING_V2_OBJECT_METRIC_SOURCE), flags: 0, merge_key: "" },
    F { name: "pods", shape: Object(&AUTOSCALING_V2_PODS_METRIC_SOURCE), flags: 0, merge_key: "" },
    F { name: "resource", shape: Object(&AUTOSCALING_V2_RESOURCE_METRIC_SOURCE), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_METRIC_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.MetricStatus", atomic: false,
    fields: &[
    F { name: "containerResource", shape: Object(&AUTOSCALING_V2_CONTAINER_RESOURCE_METRIC_STATUS), flags: 0, merge_key: "" },
    F { name: "external", shape: Object(&AUTOSCALING_V2_EXTERNAL_METRIC_STATUS), flags: 0, merge_key: "" },
    F { name: "object", shape: Object(&AUTOSCALING_V2_OBJECT_METRIC_STATUS), flags: 0, merge_key: "" },
    F { name: "pods", shape: Object(&AUTOSCALING_V2_PODS_METRIC_STATUS), flags: 0, merge_key: "" },
    F { name: "resource", shape: Object(&AUTOSCALING_V2_RESOURCE_METRIC_STATUS), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_METRIC_TARGET: S = S {
    name: "io.k8s.api.autoscaling.v2.MetricTarget", atomic: false,
    fields: &[
    F { name: "averageUtilization", shape: Int32, flags: 0, merge_key: "" },
    F { name: "averageValue", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "value", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_METRIC_VALUE_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.MetricValueStatus", atomic: false,
    fields: &[
    F { name: "averageUtilization", shape: Int32, flags: 0, merge_key: "" },
    F { name: "averageValue", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "value", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static AUTOSCALING_V2_OBJECT_METRIC_SOURCE: S = S {
    name: "io.k8s.api.autoscaling.v2.ObjectMetricSource", atomic: false,
    fields: &[
    F { name: "describedObject", shape: Object(&AUTOSCALING_V2_CROSS_VERSION_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "metric", shape: Object(&AUTOSCALING_V2_METRIC_IDENTIFIER), flags: REQUIRED, merge_key: "" },
    F { name: "target", shape: Object(&AUTOSCALING_V2_METRIC_TARGET), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_OBJECT_METRIC_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.ObjectMetricStatus", atomic: false,
    fields: &[
    F { name: "current", shape: Object(&AUTOSCALING_V2_METRIC_VALUE_STATUS), flags: REQUIRED, merge_key: "" },
    F { name: "describedObject", shape: Object(&AUTOSCALING_V2_CROSS_VERSION_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "metric", shape: Object(&AUTOSCALING_V2_METRIC_IDENTIFIER), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_PODS_METRIC_SOURCE: S = S {
    name: "io.k8s.api.autoscaling.v2.PodsMetricSource", atomic: false,
    fields: &[
    F { name: "metric", shape: Object(&AUTOSCALING_V2_METRIC_IDENTIFIER), flags: REQUIRED, merge_key: "" },
    F { name: "target", shape: Object(&AUTOSCALING_V2_METRIC_TARGET), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_PODS_METRIC_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.PodsMetricStatus", atomic: false,
    fields: &[
    F { name: "current", shape: Object(&AUTOSCALING_V2_METRIC_VALUE_STATUS), flags: REQUIRED, merge_key: "" },
    F { name: "metric", shape: Object(&AUTOSCALING_V2_METRIC_IDENTIFIER), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_RESOURCE_METRIC_SOURCE: S = S {
    name: "io.k8s.api.autoscaling.v2.ResourceMetricSource", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "target", shape: Object(&AUTOSCALING_V2_METRIC_TARGET), flags: REQUIRED, merge_key: "" },
    ],
};

static AUTOSCALING_V2_RESOURCE_METRIC_STATUS: S = S {
    name: "io.k8s.api.autoscaling.v2.ResourceMetricStatus", atomic: false,
    fields: &[
    F { name: "current", shape: Object(&AUTOSCALING_V2_METRIC_VALUE_STATUS), flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static BATCH_V1_CRON_JOB: S = S {
    name: "io.k8s.api.batch.v1.CronJob", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&BATCH_V1_CRON_JOB_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&BATCH_V1_CRON_JOB_STATUS), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_CRON_JOB_LIST: S = S {
    name: "io.k8s.api.batch.v1.CronJobList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&BATCH_V1_CRON_JOB), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_CRON_JOB_SPEC: S = S {
    name: "io.k8s.api.batch.v1.CronJobSpec", atomic: false,
    fields: &[
    F { name: "concurrencyPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "failedJobsHistoryLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "jobTemplate", shape: Object(&BATCH_V1_JOB_TEMPLATE_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "schedule", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "startingDeadlineSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "successfulJobsHistoryLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "suspend", shape: Bool, flags: 0, merge_key: "" },
    F { name: "timeZone", shape: String, flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_CRON_JOB_STATUS: S = S {
    name: "io.k8s.api.batch.v1.CronJobStatus", atomic: false,
    fields: &[
    F { name: "active", shape: List(&L { items: Object(&CORE_V1_OBJECT_REFERENCE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "lastScheduleTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastSuccessfulTime", shape: Time, flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_JOB: S = S {
    name: "io.k8s.api.batch.v1.Job", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&BATCH_V1_JOB_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&BATCH_V1_JOB_STATUS), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_JOB_CONDITION: S = S {
    name: "io.k8s.api.batch.v1.JobCondition", atomic: false,
    fields: &[
    F { name: "lastProbeTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static BATCH_V1_JOB_LIST: S = S {
    name: "io.k8s.api.batch.v1.JobList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&BATCH_V1_JOB), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_JOB_SCHEDULING_CONFIGURATION: S = S {
    name: "io.k8s.api.batch.v1.JobSchedulingConfiguration", atomic: false,
    fields: &[
    F { name: "disruptionMode", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_DISRUPTION_MODE), flags: 0, merge_key: "" },
    F { name: "resourceClaims", shape: List(&L { items: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_RESOURCE_CLAIM), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "schedulingConstraints", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SCHEDULING_CONSTRAINTS), flags: 0, merge_key: "" },
    F { name: "schedulingPolicy", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SCHEDULING_POLICY), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_JOB_SPEC: S = S {
    name: "io.k8s.api.batch.v1.JobSpec", atomic: false,
    fields: &[
    F { name: "activeDeadlineSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "backoffLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "backoffLimitPerIndex", shape: Int32, flags: 0, merge_key: "" },
    F { name: "completionMode", shape: String, flags: 0, merge_key: "" },
    F { name: "completions", shape: Int32, flags: 0, merge_key: "" },
    F { name: "managedBy", shape: String, flags: 0, merge_key: "" },
    F { name: "manualSelector", shape: Bool, flags: 0, merge_key: "" },
    F { name: "maxFailedIndexes", shape: Int32, flags: 0, merge_key: "" },
    F { name: "parallelism", shape: Int32, flags: 0, merge_key: "" },
    F { name: "podFailurePolicy", shape: Object(&BATCH_V1_POD_FAILURE_POLICY), flags: 0, merge_key: "" },
    F { name: "podReplacementPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "scheduling", shape: Object(&BATCH_V1_JOB_SCHEDULING_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "successPolicy", shape: Object(&BATCH_V1_SUCCESS_POLICY), flags: 0, merge_key: "" },
    F { name: "suspend", shape: Bool, flags: 0, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "ttlSecondsAfterFinished", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_JOB_STATUS: S = S {
    name: "io.k8s.api.batch.v1.JobStatus", atomic: false,
    fields: &[
    F { name: "active", shape: Int32, flags: 0, merge_key: "" },
    F { name: "completedIndexes", shape: String, flags: 0, merge_key: "" },
    F { name: "completionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&BATCH_V1_JOB_CONDITION), kind: Atomic }), flags: MERGE, merge_key: "type" },
    F { name: "failed", shape: Int32, flags: 0, merge_key: "" },
    F { name: "failedIndexes", shape: String, flags: 0, merge_key: "" },
    F { name: "ready", shape: Int32, flags: 0, merge_key: "" },
    F { name: "startTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "succeeded", shape: Int32, flags: 0, merge_key: "" },
    F { name: "terminating", shape: Int32, flags: 0, merge_key: "" },
    F { name: "uncountedTerminatedPods", shape: Object(&BATCH_V1_UNCOUNTED_TERMINATED_PODS), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_JOB_TEMPLATE_SPEC: S = S {
    name: "io.k8s.api.batch.v1.JobTemplateSpec", atomic: false,
    fields: &[
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&BATCH_V1_JOB_SPEC), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_POD_FAILURE_POLICY: S = S {
    name: "io.k8s.api.batch.v1.PodFailurePolicy", atomic: false,
    fields: &[
    F { name: "rules", shape: List(&L { items: Object(&BATCH_V1_POD_FAILURE_POLICY_RULE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static BATCH_V1_POD_FAILURE_POLICY_ON_EXIT_CODES_REQUIREMENT: S = S {
    name: "io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement", atomic: false,
    fields: &[
    F { name: "containerName", shape: String, flags: 0, merge_key: "" },
    F { name: "operator", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: Int32, kind: Set }), flags: REQUIRED, merge_key: "" },
    ],
};

static BATCH_V1_POD_FAILURE_POLICY_ON_POD_CONDITIONS_PATTERN: S = S {
    name: "io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern", atomic: false,
    fields: &[
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static BATCH_V1_POD_FAILURE_POLICY_RULE: S = S {
    name: "io.k8s.api.batch.v1.PodFailurePolicyRule", atomic: false,
    fields: &[
    F { name: "action", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "onExitCodes", shape: Object(&BATCH_V1_POD_FAILURE_POLICY_ON_EXIT_CODES_REQUIREMENT), flags: 0, merge_key: "" },
    F { name: "onPodConditions", shape: List(&L { items: Object(&BATCH_V1_POD_FAILURE_POLICY_ON_POD_CONDITIONS_PATTERN), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_SUCCESS_POLICY: S = S {
    name: "io.k8s.api.batch.v1.SuccessPolicy", atomic: false,
    fields: &[
    F { name: "rules", shape: List(&L { items: Object(&BATCH_V1_SUCCESS_POLICY_RULE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static BATCH_V1_SUCCESS_POLICY_RULE: S = S {
    name: "io.k8s.api.batch.v1.SuccessPolicyRule", atomic: false,
    fields: &[
    F { name: "succeededCount", shape: Int32, flags: 0, merge_key: "" },
    F { name: "succeededIndexes", shape: String, flags: 0, merge_key: "" },
    ],
};

static BATCH_V1_UNCOUNTED_TERMINATED_PODS: S = S {
    name: "io.k8s.api.batch.v1.UncountedTerminatedPods", atomic: false,
    fields: &[
    F { name: "failed", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    F { name: "succeeded", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST: S = S {
    name: "io.k8s.api.certificates.v1.CertificateSigningRequest", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_STATUS), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_CONDITION: S = S {
    name: "io.k8s.api.certificates.v1.CertificateSigningRequestCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastUpdateTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_LIST: S = S {
    name: "io.k8s.api.certificates.v1.CertificateSigningRequestList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_SPEC: S = S {
    name: "io.k8s.api.certificates.v1.CertificateSigningRequestSpec", atomic: false,
    fields: &[
    F { name: "expirationSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "extra", shape: Map(&M { values: List(&L { items: String, kind: Atomic }), atomic: false }), flags: 0, merge_key: "" },
    F { name: "groups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "request", shape: Bytes, flags: REQUIRED, merge_key: "" },
    F { name: "signerName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    F { name: "usages", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "username", shape: String, flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_STATUS: S = S {
    name: "io.k8s.api.certificates.v1.CertificateSigningRequestStatus", atomic: false,
    fields: &[
    F { name: "certificate", shape: Bytes, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE: S = S {
    name: "io.k8s.api.certificates.v1.ClusterTrustBundle", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE_LIST: S = S {
    name: "io.k8s.api.certificates.v1.ClusterTrustBundleList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE_SPEC: S = S {
    name: "io.k8s.api.certificates.v1.ClusterTrustBundleSpec", atomic: false,
    fields: &[
    F { name: "signerName", shape: String, flags: 0, merge_key: "" },
    F { name: "trustBundle", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CERTIFICATES_V1_POD_CERTIFICATE_REQUEST: S = S {
    name: "io.k8s.api.certificates.v1.PodCertificateRequest", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_STATUS), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_LIST: S = S {
    name: "io.k8s.api.certificates.v1.PodCertificateRequestList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CERTIFICATES_V1_POD_CERTIFICATE_REQUEST), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_SPEC: S = S {
    name: "io.k8s.api.certificates.v1.PodCertificateRequestSpec", atomic: false,
    fields: &[
    F { name: "maxExpirationSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "nodeName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeUID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "podName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "podUID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "serviceAccountName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "serviceAccountUID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "signerName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "stubPKCS10Request", shape: Bytes, flags: REQUIRED, merge_key: "" },
    F { name: "unverifiedUserAnnotations", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_STATUS: S = S {
    name: "io.k8s.api.certificates.v1.PodCertificateRequestStatus", atomic: false,
    fields: &[
    F { name: "beginRefreshAt", shape: Time, flags: 0, merge_key: "" },
    F { name: "certificateChain", shape: String, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "notAfter", shape: Time, flags: 0, merge_key: "" },
    F { name: "notBefore", shape: Time, flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE: S = S {
    name: "io.k8s.api.certificates.v1beta1.ClusterTrustBundle", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE_LIST: S = S {
    name: "io.k8s.api.certificates.v1beta1.ClusterTrustBundleList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE_SPEC: S = S {
    name: "io.k8s.api.certificates.v1beta1.ClusterTrustBundleSpec", atomic: false,
    fields: &[
    F { name: "signerName", shape: String, flags: 0, merge_key: "" },
    F { name: "trustBundle", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST: S = S {
    name: "io.k8s.api.certificates.v1beta1.PodCertificateRequest", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_STATUS), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_LIST: S = S {
    name: "io.k8s.api.certificates.v1beta1.PodCertificateRequestList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_SPEC: S = S {
    name: "io.k8s.api.certificates.v1beta1.PodCertificateRequestSpec", atomic: false,
    fields: &[
    F { name: "maxExpirationSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "nodeName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeUID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "pkixPublicKey", shape: Bytes, flags: 0, merge_key: "" },
    F { name: "podName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "podUID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "proofOfPossession", shape: Bytes, flags: 0, merge_key: "" },
    F { name: "serviceAccountName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "serviceAccountUID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "signerName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "stubPKCS10Request", shape: Bytes, flags: REQUIRED, merge_key: "" },
    F { name: "unverifiedUserAnnotations", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_STATUS: S = S {
    name: "io.k8s.api.certificates.v1beta1.PodCertificateRequestStatus", atomic: false,
    fields: &[
    F { name: "beginRefreshAt", shape: Time, flags: 0, merge_key: "" },
    F { name: "certificateChain", shape: String, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "notAfter", shape: Time, flags: 0, merge_key: "" },
    F { name: "notBefore", shape: Time, flags: 0, merge_key: "" },
    ],
};

static COORDINATION_V1_LEASE: S = S {
    name: "io.k8s.api.coordination.v1.Lease", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&COORDINATION_V1_LEASE_SPEC), flags: 0, merge_key: "" },
    ],
};

static COORDINATION_V1_LEASE_LIST: S = S {
    name: "io.k8s.api.coordination.v1.LeaseList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&COORDINATION_V1_LEASE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static COORDINATION_V1_LEASE_SPEC: S = S {
    name: "io.k8s.api.coordination.v1.LeaseSpec", atomic: false,
    fields: &[
    F { name: "acquireTime", shape: MicroTime, flags: 0, merge_key: "" },
    F { name: "holderIdentity", shape: String, flags: 0, merge_key: "" },
    F { name: "leaseDurationSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "leaseTransitions", shape: Int32, flags: 0, merge_key: "" },
    F { name: "preferredHolder", shape: String, flags: 0, merge_key: "" },
    F { name: "renewTime", shape: MicroTime, flags: 0, merge_key: "" },
    F { name: "strategy", shape: String, flags: 0, merge_key: "" },
    ],
};

static COORDINATION_V1BETA1_LEASE_CANDIDATE: S = S {
    name: "io.k8s.api.coordination.v1beta1.LeaseCandidate", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&COORDINATION_V1BETA1_LEASE_CANDIDATE_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static COORDINATION_V1BETA1_LEASE_CANDIDATE_LIST: S = S {
    name: "io.k8s.api.coordination.v1beta1.LeaseCandidateList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&COORDINATION_V1BETA1_LEASE_CANDIDATE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static COORDINATION_V1BETA1_LEASE_CANDIDATE_SPEC: S = S {
    name: "io.k8s.api.coordination.v1beta1.LeaseCandidateSpec", atomic: false,
    fields: &[
    F { name: "binaryVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "emulationVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "leaseName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "pingTime", shape: MicroTime, flags: 0, merge_key: "" },
    F { name: "renewTime", shape: MicroTime, flags: 0, merge_key: "" },
    F { name: "strategy", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.AWSElasticBlockStoreVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "partition", shape: Int32, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "volumeID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_AFFINITY: S = S {
    name: "io.k8s.api.core.v1.Affinity", atomic: false,
    fields: &[
    F { name: "nodeAffinity", shape: Object(&CORE_V1_NODE_AFFINITY), flags: 0, merge_key: "" },
    F { name: "podAffinity", shape: Object(&CORE_V1_POD_AFFINITY), flags: 0, merge_key: "" },
    F { name: "podAntiAffinity", shape: Object(&CORE_V1_POD_ANTI_AFFINITY), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_APP_ARMOR_PROFILE: S = S {
    name: "io.k8s.api.core.v1.AppArmorProfile", atomic: false,
    fields: &[
    F { name: "localhostProfile", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_ATTACHED_VOLUME: S = S {
    name: "io.k8s.api.core.v1.AttachedVolume", atomic: false,
    fields: &[
    F { name: "devicePath", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_AZURE_DISK_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.AzureDiskVolumeSource", atomic: false,
    fields: &[
    F { name: "cachingMode", shape: String, flags: 0, merge_key: "" },
    F { name: "diskName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "diskURI", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_AZURE_FILE_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.AzureFilePersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "secretNamespace", shape: String, flags: 0, merge_key: "" },
    F { name: "shareName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_AZURE_FILE_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.AzureFileVolumeSource", atomic: false,
    fields: &[
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "shareName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_BINDING: S = S {
    name: "io.k8s.api.core.v1.Binding", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "target", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_CSI_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.CSIPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "controllerExpandSecretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "controllerPublishSecretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeExpandSecretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "nodePublishSecretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "nodeStageSecretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "volumeAttributes", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "volumeHandle", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_CSI_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.CSIVolumeSource", atomic: false,
    fields: &[
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "nodePublishSecretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "volumeAttributes", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CAPABILITIES: S = S {
    name: "io.k8s.api.core.v1.Capabilities", atomic: false,
    fields: &[
    F { name: "add", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "drop", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CEPH_FS_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.CephFSPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "monitors", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretFile", shape: String, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CEPH_FS_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.CephFSVolumeSource", atomic: false,
    fields: &[
    F { name: "monitors", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretFile", shape: String, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CINDER_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.CinderPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "volumeID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_CINDER_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.CinderVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "volumeID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_CLIENT_IP_CONFIG: S = S {
    name: "io.k8s.api.core.v1.ClientIPConfig", atomic: false,
    fields: &[
    F { name: "timeoutSeconds", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CLUSTER_TRUST_BUNDLE_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.ClusterTrustBundleProjection", atomic: false,
    fields: &[
    F { name: "labelSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "signerName", shape: String, flags: 0, merge_key: "" },
    F { name: "user", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_COMPONENT_CONDITION: S = S {
    name: "io.k8s.api.core.v1.ComponentCondition", atomic: false,
    fields: &[
    F { name: "error", shape: String, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_COMPONENT_STATUS: S = S {
    name: "io.k8s.api.core.v1.ComponentStatus", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&CORE_V1_COMPONENT_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_COMPONENT_STATUS_LIST: S = S {
    name: "io.k8s.api.core.v1.ComponentStatusList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_COMPONENT_STATUS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP: S = S {
    name: "io.k8s.api.core.v1.ConfigMap", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "binaryData", shape: Map(&M { values: Bytes, atomic: false }), flags: 0, merge_key: "" },
    F { name: "data", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "immutable", shape: Bool, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP_ENV_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ConfigMapEnvSource", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP_KEY_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.ConfigMapKeySelector", atomic: true,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP_LIST: S = S {
    name: "io.k8s.api.core.v1.ConfigMapList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_CONFIG_MAP), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP_NODE_CONFIG_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ConfigMapNodeConfigSource", atomic: false,
    fields: &[
    F { name: "kubeletConfigKey", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.ConfigMapProjection", atomic: false,
    fields: &[
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_KEY_TO_PATH), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONFIG_MAP_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ConfigMapVolumeSource", atomic: false,
    fields: &[
    F { name: "defaultMode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "defaultUser", shape: Int64, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_KEY_TO_PATH), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER: S = S {
    name: "io.k8s.api.core.v1.Container", atomic: false,
    fields: &[
    F { name: "args", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "command", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "env", shape: List(&L { items: Object(&CORE_V1_ENV_VAR), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "envFrom", shape: List(&L { items: Object(&CORE_V1_ENV_FROM_SOURCE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "image", shape: String, flags: 0, merge_key: "" },
    F { name: "imagePullPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "lifecycle", shape: Object(&CORE_V1_LIFECYCLE), flags: 0, merge_key: "" },
    F { name: "livenessProbe", shape: Object(&CORE_V1_PROBE), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&CORE_V1_CONTAINER_PORT), kind: Keyed(&[K("containerPort", None), K("protocol", Some("TCP"))]) }), flags: MERGE, merge_key: "containerPort" },
    F { name: "readinessProbe", shape: Object(&CORE_V1_PROBE), flags: 0, merge_key: "" },
    F { name: "resizePolicy", shape: List(&L { items: Object(&CORE_V1_CONTAINER_RESIZE_POLICY), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resources", shape: Object(&CORE_V1_RESOURCE_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "restartPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "restartPolicyRules", shape: List(&L { items: Object(&CORE_V1_CONTAINER_RESTART_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "securityContext", shape: Object(&CORE_V1_SECURITY_CONTEXT), flags: 0, merge_key: "" },
    F { name: "startupProbe", shape: Object(&CORE_V1_PROBE), flags: 0, merge_key: "" },
    F { name: "stdin", shape: Bool, flags: 0, merge_key: "" },
    F { name: "stdinOnce", shape: Bool, flags: 0, merge_key: "" },
    F { name: "terminationMessagePath", shape: String, flags: 0, merge_key: "" },
    F { name: "terminationMessagePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "tty", shape: Bool, flags: 0, merge_key: "" },
    F { name: "volumeDevices", shape: List(&L { items: Object(&CORE_V1_VOLUME_DEVICE), kind: Keyed(&[K("devicePath", None)]) }), flags: MERGE, merge_key: "devicePath" },
    F { name: "volumeMounts", shape: List(&L { items: Object(&CORE_V1_VOLUME_MOUNT), kind: Keyed(&[K("mountPath", None)]) }), flags: MERGE, merge_key: "mountPath" },
    F { name: "workingDir", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_EXTENDED_RESOURCE_REQUEST: S = S {
    name: "io.k8s.api.core.v1.ContainerExtendedResourceRequest", atomic: false,
    fields: &[
    F { name: "containerName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "requestName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_IMAGE: S = S {
    name: "io.k8s.api.core.v1.ContainerImage", atomic: false,
    fields: &[
    F { name: "names", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "sizeBytes", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_PORT: S = S {
    name: "io.k8s.api.core.v1.ContainerPort", atomic: false,
    fields: &[
    F { name: "containerPort", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "hostIP", shape: String, flags: 0, merge_key: "" },
    F { name: "hostPort", shape: Int32, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "protocol", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_RESIZE_POLICY: S = S {
    name: "io.k8s.api.core.v1.ContainerResizePolicy", atomic: false,
    fields: &[
    F { name: "resourceName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "restartPolicy", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_RESTART_RULE: S = S {
    name: "io.k8s.api.core.v1.ContainerRestartRule", atomic: false,
    fields: &[
    F { name: "action", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "exitCodes", shape: Object(&CORE_V1_CONTAINER_RESTART_RULE_ON_EXIT_CODES), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_RESTART_RULE_ON_EXIT_CODES: S = S {
    name: "io.k8s.api.core.v1.ContainerRestartRuleOnExitCodes", atomic: false,
    fields: &[
    F { name: "operator", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: Int32, kind: Set }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_STATE: S = S {
    name: "io.k8s.api.core.v1.ContainerState", atomic: false,
    fields: &[
    F { name: "running", shape: Object(&CORE_V1_CONTAINER_STATE_RUNNING), flags: 0, merge_key: "" },
    F { name: "terminated", shape: Object(&CORE_V1_CONTAINER_STATE_TERMINATED), flags: 0, merge_key: "" },
    F { name: "waiting", shape: Object(&CORE_V1_CONTAINER_STATE_WAITING), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_STATE_RUNNING: S = S {
    name: "io.k8s.api.core.v1.ContainerStateRunning", atomic: false,
    fields: &[
    F { name: "startedAt", shape: Time, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_STATE_TERMINATED: S = S {
    name: "io.k8s.api.core.v1.ContainerStateTerminated", atomic: false,
    fields: &[
    F { name: "containerID", shape: String, flags: 0, merge_key: "" },
    F { name: "exitCode", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "finishedAt", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "signal", shape: Int32, flags: 0, merge_key: "" },
    F { name: "startedAt", shape: Time, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_STATE_WAITING: S = S {
    name: "io.k8s.api.core.v1.ContainerStateWaiting", atomic: false,
    fields: &[
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_CONTAINER_STATUS: S = S {
    name: "io.k8s.api.core.v1.ContainerStatus", atomic: false,
    fields: &[
    F { name: "allocatedResources", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "allocatedResourcesStatus", shape: List(&L { items: Object(&CORE_V1_RESOURCE_STATUS), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "containerID", shape: String, flags: 0, merge_key: "" },
    F { name: "image", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "imageID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "lastState", shape: Object(&CORE_V1_CONTAINER_STATE), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "ready", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "resources", shape: Object(&CORE_V1_RESOURCE_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "restartCount", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "started", shape: Bool, flags: 0, merge_key: "" },
    F { name: "state", shape: Object(&CORE_V1_CONTAINER_STATE), flags: 0, merge_key: "" },
    F { name: "stopSignal", shape: String, flags: 0, merge_key: "" },
    F { name: "user", shape: Object(&CORE_V1_CONTAINER_USER), flags: 0, merge_key: "" },
    F { name: "volumeMounts", shape: List(&L { items: Object(&CORE_V1_VOLUME_MOUNT_STATUS), kind: Keyed(&[K("mountPath", None)]) }), flags: MERGE, merge_key: "mountPath" },
    ],
};

static CORE_V1_CONTAINER_USER: S = S {
    name: "io.k8s.api.core.v1.ContainerUser", atomic: false,
    fields: &[
    F { name: "linux", shape: Object(&CORE_V1_LINUX_CONTAINER_USER), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_DAEMON_ENDPOINT: S = S {
    name: "io.k8s.api.core.v1.DaemonEndpoint", atomic: false,
    fields: &[
    F { name: "Port", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_DOWNWARD_API_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.DownwardAPIProjection", atomic: false,
    fields: &[
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_DOWNWARD_API_VOLUME_FILE), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_DOWNWARD_API_VOLUME_FILE: S = S {
    name: "io.k8s.api.core.v1.DownwardAPIVolumeFile", atomic: false,
    fields: &[
    F { name: "fieldRef", shape: Object(&CORE_V1_OBJECT_FIELD_SELECTOR), flags: 0, merge_key: "" },
    F { name: "mode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceFieldRef", shape: Object(&CORE_V1_RESOURCE_FIELD_SELECTOR), flags: 0, merge_key: "" },
    F { name: "user", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_DOWNWARD_API_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.DownwardAPIVolumeSource", atomic: false,
    fields: &[
    F { name: "defaultMode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "defaultUser", shape: Int64, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_DOWNWARD_API_VOLUME_FILE), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EMPTY_DIR_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.EmptyDirVolumeSource", atomic: false,
    fields: &[
    F { name: "medium", shape: String, flags: 0, merge_key: "" },
    F { name: "mode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "sizeLimit", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENDPOINT_ADDRESS: S = S {
    name: "io.k8s.api.core.v1.EndpointAddress", atomic: true,
    fields: &[
    F { name: "hostname", shape: String, flags: 0, merge_key: "" },
    F { name: "ip", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeName", shape: String, flags: 0, merge_key: "" },
    F { name: "targetRef", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENDPOINT_PORT: S = S {
    name: "io.k8s.api.core.v1.EndpointPort", atomic: true,
    fields: &[
    F { name: "appProtocol", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "protocol", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENDPOINT_SUBSET: S = S {
    name: "io.k8s.api.core.v1.EndpointSubset", atomic: false,
    fields: &[
    F { name: "addresses", shape: List(&L { items: Object(&CORE_V1_ENDPOINT_ADDRESS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "notReadyAddresses", shape: List(&L { items: Object(&CORE_V1_ENDPOINT_ADDRESS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&CORE_V1_ENDPOINT_PORT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENDPOINTS: S = S {
    name: "io.k8s.api.core.v1.Endpoints", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "subsets", shape: List(&L { items: Object(&CORE_V1_ENDPOINT_SUBSET), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENDPOINTS_LIST: S = S {
    name: "io.k8s.api.core.v1.EndpointsList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_ENDPOINTS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENV_FROM_SOURCE: S = S {
    name: "io.k8s.api.core.v1.EnvFromSource", atomic: false,
    fields: &[
    F { name: "configMapRef", shape: Object(&CORE_V1_CONFIG_MAP_ENV_SOURCE), flags: 0, merge_key: "" },
    F { name: "prefix", shape: String, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_ENV_SOURCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENV_VAR: S = S {
    name: "io.k8s.api.core.v1.EnvVar", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "value", shape: String, flags: 0, merge_key: "" },
    F { name: "valueFrom", shape: Object(&CORE_V1_ENV_VAR_SOURCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ENV_VAR_SOURCE: S = S {
    name: "io.k8s.api.core.v1.EnvVarSource", atomic: false,
    fields: &[
    F { name: "configMapKeyRef", shape: Object(&CORE_V1_CONFIG_MAP_KEY_SELECTOR), flags: 0, merge_key: "" },
    F { name: "fieldRef", shape: Object(&CORE_V1_OBJECT_FIELD_SELECTOR), flags: 0, merge_key: "" },
    F { name: "fileKeyRef", shape: Object(&CORE_V1_FILE_KEY_SELECTOR), flags: 0, merge_key: "" },
    F { name: "resourceFieldRef", shape: Object(&CORE_V1_RESOURCE_FIELD_SELECTOR), flags: 0, merge_key: "" },
    F { name: "secretKeyRef", shape: Object(&CORE_V1_SECRET_KEY_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EPHEMERAL_CONTAINER: S = S {
    name: "io.k8s.api.core.v1.EphemeralContainer", atomic: false,
    fields: &[
    F { name: "args", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "command", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "env", shape: List(&L { items: Object(&CORE_V1_ENV_VAR), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "envFrom", shape: List(&L { items: Object(&CORE_V1_ENV_FROM_SOURCE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "image", shape: String, flags: 0, merge_key: "" },
    F { name: "imagePullPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "lifecycle", shape: Object(&CORE_V1_LIFECYCLE), flags: 0, merge_key: "" },
    F { name: "livenessProbe", shape: Object(&CORE_V1_PROBE), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&CORE_V1_CONTAINER_PORT), kind: Keyed(&[K("containerPort", None), K("protocol", Some("TCP"))]) }), flags: MERGE, merge_key: "containerPort" },
    F { name: "readinessProbe", shape: Object(&CORE_V1_PROBE), flags: 0, merge_key: "" },
    F { name: "resizePolicy", shape: List(&L { items: Object(&CORE_V1_CONTAINER_RESIZE_POLICY), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resources", shape: Object(&CORE_V1_RESOURCE_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "restartPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "restartPolicyRules", shape: List(&L { items: Object(&CORE_V1_CONTAINER_RESTART_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "securityContext", shape: Object(&CORE_V1_SECURITY_CONTEXT), flags: 0, merge_key: "" },
    F { name: "startupProbe", shape: Object(&CORE_V1_PROBE), flags: 0, merge_key: "" },
    F { name: "stdin", shape: Bool, flags: 0, merge_key: "" },
    F { name: "stdinOnce", shape: Bool, flags: 0, merge_key: "" },
    F { name: "targetContainerName", shape: String, flags: 0, merge_key: "" },
    F { name: "terminationMessagePath", shape: String, flags: 0, merge_key: "" },
    F { name: "terminationMessagePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "tty", shape: Bool, flags: 0, merge_key: "" },
    F { name: "volumeDevices", shape: List(&L { items: Object(&CORE_V1_VOLUME_DEVICE), kind: Keyed(&[K("devicePath", None)]) }), flags: MERGE, merge_key: "devicePath" },
    F { name: "volumeMounts", shape: List(&L { items: Object(&CORE_V1_VOLUME_MOUNT), kind: Keyed(&[K("mountPath", None)]) }), flags: MERGE, merge_key: "mountPath" },
    F { name: "workingDir", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EPHEMERAL_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.EphemeralVolumeSource", atomic: false,
    fields: &[
    F { name: "volumeClaimTemplate", shape: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM_TEMPLATE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EVENT: S = S {
    name: "io.k8s.api.core.v1.Event", atomic: false,
    fields: &[
    F { name: "action", shape: String, flags: 0, merge_key: "" },
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "count", shape: Int32, flags: 0, merge_key: "" },
    F { name: "eventTime", shape: MicroTime, flags: 0, merge_key: "" },
    F { name: "firstTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "involvedObject", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "lastTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: REQUIRED, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "related", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "reportingComponent", shape: String, flags: 0, merge_key: "" },
    F { name: "reportingInstance", shape: String, flags: 0, merge_key: "" },
    F { name: "series", shape: Object(&CORE_V1_EVENT_SERIES), flags: 0, merge_key: "" },
    F { name: "source", shape: Object(&CORE_V1_EVENT_SOURCE), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EVENT_LIST: S = S {
    name: "io.k8s.api.core.v1.EventList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_EVENT), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EVENT_SERIES: S = S {
    name: "io.k8s.api.core.v1.EventSeries", atomic: false,
    fields: &[
    F { name: "count", shape: Int32, flags: 0, merge_key: "" },
    F { name: "lastObservedTime", shape: MicroTime, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EVENT_SOURCE: S = S {
    name: "io.k8s.api.core.v1.EventSource", atomic: false,
    fields: &[
    F { name: "component", shape: String, flags: 0, merge_key: "" },
    F { name: "host", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_EVICTION_RESPONDER: S = S {
    name: "io.k8s.api.core.v1.EvictionResponder", atomic: true,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "priority", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_EXEC_ACTION: S = S {
    name: "io.k8s.api.core.v1.ExecAction", atomic: false,
    fields: &[
    F { name: "command", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_FC_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.FCVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "lun", shape: Int32, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "targetWWNs", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "wwids", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_FILE_KEY_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.FileKeySelector", atomic: true,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "volumeName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_FLEX_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.FlexPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "options", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_FLEX_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.FlexVolumeSource", atomic: false,
    fields: &[
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "options", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_FLOCKER_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.FlockerVolumeSource", atomic: false,
    fields: &[
    F { name: "datasetName", shape: String, flags: 0, merge_key: "" },
    F { name: "datasetUUID", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_GCE_PERSISTENT_DISK_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.GCEPersistentDiskVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "partition", shape: Int32, flags: 0, merge_key: "" },
    F { name: "pdName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_GRPC_ACTION: S = S {
    name: "io.k8s.api.core.v1.GRPCAction", atomic: false,
    fields: &[
    F { name: "mode", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "service", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_GIT_REPO_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.GitRepoVolumeSource", atomic: false,
    fields: &[
    F { name: "directory", shape: String, flags: 0, merge_key: "" },
    F { name: "repository", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "revision", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_GLUSTERFS_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.GlusterfsPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "endpoints", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "endpointsNamespace", shape: String, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_GLUSTERFS_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.GlusterfsVolumeSource", atomic: false,
    fields: &[
    F { name: "endpoints", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_HTTP_GET_ACTION: S = S {
    name: "io.k8s.api.core.v1.HTTPGetAction", atomic: false,
    fields: &[
    F { name: "host", shape: String, flags: 0, merge_key: "" },
    F { name: "httpHeaders", shape: List(&L { items: Object(&CORE_V1_HTTP_HEADER), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: IntOrString, flags: REQUIRED, merge_key: "" },
    F { name: "protocol", shape: String, flags: 0, merge_key: "" },
    F { name: "scheme", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_HTTP_HEADER: S = S {
    name: "io.k8s.api.core.v1.HTTPHeader", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "value", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_HOST_ALIAS: S = S {
    name: "io.k8s.api.core.v1.HostAlias", atomic: false,
    fields: &[
    F { name: "hostnames", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ip", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_HOST_IP: S = S {
    name: "io.k8s.api.core.v1.HostIP", atomic: false,
    fields: &[
    F { name: "ip", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_HOST_PATH_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.HostPathVolumeSource", atomic: false,
    fields: &[
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_ISCSI_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ISCSIPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "chapAuthDiscovery", shape: Bool, flags: 0, merge_key: "" },
    F { name: "chapAuthSession", shape: Bool, flags: 0, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "initiatorName", shape: String, flags: 0, merge_key: "" },
    F { name: "iqn", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "iscsiInterface", shape: String, flags: 0, merge_key: "" },
    F { name: "lun", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "portals", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "targetPortal", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_ISCSI_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ISCSIVolumeSource", atomic: false,
    fields: &[
    F { name: "chapAuthDiscovery", shape: Bool, flags: 0, merge_key: "" },
    F { name: "chapAuthSession", shape: Bool, flags: 0, merge_key: "" },
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "initiatorName", shape: String, flags: 0, merge_key: "" },
    F { name: "iqn", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "iscsiInterface", shape: String, flags: 0, merge_key: "" },
    F { name: "lun", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "portals", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "targetPortal", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_IMAGE_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ImageVolumeSource", atomic: false,
    fields: &[
    F { name: "pullPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "reference", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_IMAGE_VOLUME_STATUS: S = S {
    name: "io.k8s.api.core.v1.ImageVolumeStatus", atomic: false,
    fields: &[
    F { name: "imageRef", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_KEY_TO_PATH: S = S {
    name: "io.k8s.api.core.v1.KeyToPath", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "mode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "user", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LIFECYCLE: S = S {
    name: "io.k8s.api.core.v1.Lifecycle", atomic: false,
    fields: &[
    F { name: "postStart", shape: Object(&CORE_V1_LIFECYCLE_HANDLER), flags: 0, merge_key: "" },
    F { name: "preStop", shape: Object(&CORE_V1_LIFECYCLE_HANDLER), flags: 0, merge_key: "" },
    F { name: "stopSignal", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LIFECYCLE_HANDLER: S = S {
    name: "io.k8s.api.core.v1.LifecycleHandler", atomic: false,
    fields: &[
    F { name: "exec", shape: Object(&CORE_V1_EXEC_ACTION), flags: 0, merge_key: "" },
    F { name: "httpGet", shape: Object(&CORE_V1_HTTP_GET_ACTION), flags: 0, merge_key: "" },
    F { name: "sleep", shape: Object(&CORE_V1_SLEEP_ACTION), flags: 0, merge_key: "" },
    F { name: "tcpSocket", shape: Object(&CORE_V1_TCP_SOCKET_ACTION), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LIMIT_RANGE: S = S {
    name: "io.k8s.api.core.v1.LimitRange", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_LIMIT_RANGE_SPEC), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LIMIT_RANGE_ITEM: S = S {
    name: "io.k8s.api.core.v1.LimitRangeItem", atomic: false,
    fields: &[
    F { name: "default", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "defaultRequest", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "max", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "maxLimitRequestRatio", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "min", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_LIMIT_RANGE_LIST: S = S {
    name: "io.k8s.api.core.v1.LimitRangeList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_LIMIT_RANGE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LIMIT_RANGE_SPEC: S = S {
    name: "io.k8s.api.core.v1.LimitRangeSpec", atomic: false,
    fields: &[
    F { name: "limits", shape: List(&L { items: Object(&CORE_V1_LIMIT_RANGE_ITEM), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_LINUX_CONTAINER_USER: S = S {
    name: "io.k8s.api.core.v1.LinuxContainerUser", atomic: false,
    fields: &[
    F { name: "gid", shape: Int64, flags: REQUIRED, merge_key: "" },
    F { name: "supplementalGroups", shape: List(&L { items: Int64, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "uid", shape: Int64, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_LOAD_BALANCER_INGRESS: S = S {
    name: "io.k8s.api.core.v1.LoadBalancerIngress", atomic: false,
    fields: &[
    F { name: "hostname", shape: String, flags: 0, merge_key: "" },
    F { name: "ip", shape: String, flags: 0, merge_key: "" },
    F { name: "ipMode", shape: String, flags: 0, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&CORE_V1_PORT_STATUS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LOAD_BALANCER_STATUS: S = S {
    name: "io.k8s.api.core.v1.LoadBalancerStatus", atomic: false,
    fields: &[
    F { name: "ingress", shape: List(&L { items: Object(&CORE_V1_LOAD_BALANCER_INGRESS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LOCAL_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.core.v1.LocalObjectReference", atomic: true,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_LOCAL_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.LocalVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_MODIFY_VOLUME_STATUS: S = S {
    name: "io.k8s.api.core.v1.ModifyVolumeStatus", atomic: false,
    fields: &[
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "targetVolumeAttributesClassName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NFS_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.NFSVolumeSource", atomic: false,
    fields: &[
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "server", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NAMESPACE: S = S {
    name: "io.k8s.api.core.v1.Namespace", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_NAMESPACE_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_NAMESPACE_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NAMESPACE_CONDITION: S = S {
    name: "io.k8s.api.core.v1.NamespaceCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NAMESPACE_LIST: S = S {
    name: "io.k8s.api.core.v1.NamespaceList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_NAMESPACE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NAMESPACE_SPEC: S = S {
    name: "io.k8s.api.core.v1.NamespaceSpec", atomic: false,
    fields: &[
    F { name: "finalizers", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NAMESPACE_STATUS: S = S {
    name: "io.k8s.api.core.v1.NamespaceStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&CORE_V1_NAMESPACE_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "phase", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE: S = S {
    name: "io.k8s.api.core.v1.Node", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_NODE_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_NODE_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_ADDRESS: S = S {
    name: "io.k8s.api.core.v1.NodeAddress", atomic: false,
    fields: &[
    F { name: "address", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NODE_AFFINITY: S = S {
    name: "io.k8s.api.core.v1.NodeAffinity", atomic: false,
    fields: &[
    F { name: "preferredDuringSchedulingIgnoredDuringExecution", shape: List(&L { items: Object(&CORE_V1_PREFERRED_SCHEDULING_TERM), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "requiredDuringSchedulingIgnoredDuringExecution", shape: Object(&CORE_V1_NODE_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_ALLOCATABLE_MAPPED_RESOURCES: S = S {
    name: "io.k8s.api.core.v1.NodeAllocatableMappedResources", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "quantity", shape: Quantity, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NODE_ALLOCATABLE_OVERHEAD_RESOURCES: S = S {
    name: "io.k8s.api.core.v1.NodeAllocatableOverheadResources", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "perContainer", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "perPod", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUS: S = S {
    name: "io.k8s.api.core.v1.NodeAllocatableResourceClaimStatus", atomic: false,
    fields: &[
    F { name: "containers", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    F { name: "mapping", shape: List(&L { items: Object(&CORE_V1_NODE_ALLOCATABLE_MAPPED_RESOURCES), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "overhead", shape: List(&L { items: Object(&CORE_V1_NODE_ALLOCATABLE_OVERHEAD_RESOURCES), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "resourceClaimName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NODE_CONDITION: S = S {
    name: "io.k8s.api.core.v1.NodeCondition", atomic: false,
    fields: &[
    F { name: "lastHeartbeatTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NODE_CONFIG_SOURCE: S = S {
    name: "io.k8s.api.core.v1.NodeConfigSource", atomic: false,
    fields: &[
    F { name: "configMap", shape: Object(&CORE_V1_CONFIG_MAP_NODE_CONFIG_SOURCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_CONFIG_STATUS: S = S {
    name: "io.k8s.api.core.v1.NodeConfigStatus", atomic: false,
    fields: &[
    F { name: "active", shape: Object(&CORE_V1_NODE_CONFIG_SOURCE), flags: 0, merge_key: "" },
    F { name: "assigned", shape: Object(&CORE_V1_NODE_CONFIG_SOURCE), flags: 0, merge_key: "" },
    F { name: "error", shape: String, flags: 0, merge_key: "" },
    F { name: "lastKnownGood", shape: Object(&CORE_V1_NODE_CONFIG_SOURCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_DAEMON_ENDPOINTS: S = S {
    name: "io.k8s.api.core.v1.NodeDaemonEndpoints", atomic: false,
    fields: &[
    F { name: "kubeletEndpoint", shape: Object(&CORE_V1_DAEMON_ENDPOINT), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_FEATURES: S = S {
    name: "io.k8s.api.core.v1.NodeFeatures", atomic: false,
    fields: &[
    F { name: "supplementalGroupsPolicy", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_LIST: S = S {
    name: "io.k8s.api.core.v1.NodeList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_NODE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_POD_PREEMPTION_POLICY: S = S {
    name: "io.k8s.api.core.v1.NodePodPreemptionPolicy", atomic: false,
    fields: &[
    F { name: "disableResizePreemption", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_RUNTIME_HANDLER: S = S {
    name: "io.k8s.api.core.v1.NodeRuntimeHandler", atomic: false,
    fields: &[
    F { name: "features", shape: Object(&CORE_V1_NODE_RUNTIME_HANDLER_FEATURES), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_RUNTIME_HANDLER_FEATURES: S = S {
    name: "io.k8s.api.core.v1.NodeRuntimeHandlerFeatures", atomic: false,
    fields: &[
    F { name: "recursiveReadOnlyMounts", shape: Bool, flags: 0, merge_key: "" },
    F { name: "userNamespaces", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.NodeSelector", atomic: true,
    fields: &[
    F { name: "nodeSelectorTerms", shape: List(&L { items: Object(&CORE_V1_NODE_SELECTOR_TERM), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_NODE_SELECTOR_REQUIREMENT: S = S {
    name: "io.k8s.api.core.v1.NodeSelectorRequirement", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "operator", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_SELECTOR_TERM: S = S {
    name: "io.k8s.api.core.v1.NodeSelectorTerm", atomic: true,
    fields: &[
    F { name: "matchExpressions", shape: List(&L { items: Object(&CORE_V1_NODE_SELECTOR_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "matchFields", shape: List(&L { items: Object(&CORE_V1_NODE_SELECTOR_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_SPEC: S = S {
    name: "io.k8s.api.core.v1.NodeSpec", atomic: false,
    fields: &[
    F { name: "configSource", shape: Object(&CORE_V1_NODE_CONFIG_SOURCE), flags: 0, merge_key: "" },
    F { name: "externalID", shape: String, flags: 0, merge_key: "" },
    F { name: "podCIDR", shape: String, flags: 0, merge_key: "" },
    F { name: "podCIDRs", shape: List(&L { items: String, kind: Set }), flags: MERGE, merge_key: "" },
    F { name: "podPreemptionPolicy", shape: Object(&CORE_V1_NODE_POD_PREEMPTION_POLICY), flags: 0, merge_key: "" },
    F { name: "providerID", shape: String, flags: 0, merge_key: "" },
    F { name: "taints", shape: List(&L { items: Object(&CORE_V1_TAINT), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "unschedulable", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_STATUS: S = S {
    name: "io.k8s.api.core.v1.NodeStatus", atomic: false,
    fields: &[
    F { name: "addresses", shape: List(&L { items: Object(&CORE_V1_NODE_ADDRESS), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "allocatable", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "capacity", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&CORE_V1_NODE_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "config", shape: Object(&CORE_V1_NODE_CONFIG_STATUS), flags: 0, merge_key: "" },
    F { name: "daemonEndpoints", shape: Object(&CORE_V1_NODE_DAEMON_ENDPOINTS), flags: 0, merge_key: "" },
    F { name: "declaredFeatures", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "features", shape: Object(&CORE_V1_NODE_FEATURES), flags: 0, merge_key: "" },
    F { name: "images", shape: List(&L { items: Object(&CORE_V1_CONTAINER_IMAGE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "nodeInfo", shape: Object(&CORE_V1_NODE_SYSTEM_INFO), flags: 0, merge_key: "" },
    F { name: "phase", shape: String, flags: 0, merge_key: "" },
    F { name: "runtimeHandlers", shape: List(&L { items: Object(&CORE_V1_NODE_RUNTIME_HANDLER), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "volumesAttached", shape: List(&L { items: Object(&CORE_V1_ATTACHED_VOLUME), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "volumesInUse", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_SWAP_STATUS: S = S {
    name: "io.k8s.api.core.v1.NodeSwapStatus", atomic: false,
    fields: &[
    F { name: "capacity", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_NODE_SYSTEM_INFO: S = S {
    name: "io.k8s.api.core.v1.NodeSystemInfo", atomic: false,
    fields: &[
    F { name: "architecture", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "bootID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "containerRuntimeVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "kernelVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "kubeProxyVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "kubeletVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "machineID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "operatingSystem", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "osImage", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "runningInUserNamespace", shape: Bool, flags: 0, merge_key: "" },
    F { name: "swap", shape: Object(&CORE_V1_NODE_SWAP_STATUS), flags: 0, merge_key: "" },
    F { name: "systemUUID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_OBJECT_FIELD_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.ObjectFieldSelector", atomic: true,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "fieldPath", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.core.v1.ObjectReference", atomic: true,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "fieldPath", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME: S = S {
    name: "io.k8s.api.core.v1.PersistentVolume", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_PERSISTENT_VOLUME_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_PERSISTENT_VOLUME_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaim", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM_CONDITION: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaimCondition", atomic: false,
    fields: &[
    F { name: "lastProbeTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM_LIST: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaimList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM_SPEC: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaimSpec", atomic: false,
    fields: &[
    F { name: "accessModes", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "dataSource", shape: Object(&CORE_V1_TYPED_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "dataSourceRef", shape: Object(&CORE_V1_TYPED_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "resources", shape: Object(&CORE_V1_VOLUME_RESOURCE_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "storageClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeAttributesClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeMode", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM_STATUS: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaimStatus", atomic: false,
    fields: &[
    F { name: "accessModes", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "allocatedResourceStatuses", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "allocatedResources", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "capacity", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "currentVolumeAttributesClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "healthStatus", shape: Object(&CORE_V1_VOLUME_HEALTH_STATUS), flags: 0, merge_key: "" },
    F { name: "modifyVolumeStatus", shape: Object(&CORE_V1_MODIFY_VOLUME_STATUS), flags: 0, merge_key: "" },
    F { name: "phase", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM_TEMPLATE: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaimTemplate", atomic: false,
    fields: &[
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeClaimVolumeSource", atomic: false,
    fields: &[
    F { name: "claimName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_LIST: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_PERSISTENT_VOLUME), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_SPEC: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeSpec", atomic: false,
    fields: &[
    F { name: "accessModes", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "awsElasticBlockStore", shape: Object(&CORE_V1_AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "azureDisk", shape: Object(&CORE_V1_AZURE_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "azureFile", shape: Object(&CORE_V1_AZURE_FILE_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "capacity", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "cephfs", shape: Object(&CORE_V1_CEPH_FS_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "cinder", shape: Object(&CORE_V1_CINDER_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "claimRef", shape: Granular(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "csi", shape: Object(&CORE_V1_CSI_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "fc", shape: Object(&CORE_V1_FC_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "flexVolume", shape: Object(&CORE_V1_FLEX_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "flocker", shape: Object(&CORE_V1_FLOCKER_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "gcePersistentDisk", shape: Object(&CORE_V1_GCE_PERSISTENT_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "glusterfs", shape: Object(&CORE_V1_GLUSTERFS_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "hostPath", shape: Object(&CORE_V1_HOST_PATH_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "iscsi", shape: Object(&CORE_V1_ISCSI_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "local", shape: Object(&CORE_V1_LOCAL_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "mountOptions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "nfs", shape: Object(&CORE_V1_NFS_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "nodeAffinity", shape: Object(&CORE_V1_VOLUME_NODE_AFFINITY), flags: 0, merge_key: "" },
    F { name: "persistentVolumeReclaimPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "photonPersistentDisk", shape: Object(&CORE_V1_PHOTON_PERSISTENT_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "portworxVolume", shape: Object(&CORE_V1_PORTWORX_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "quobyte", shape: Object(&CORE_V1_QUOBYTE_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "rbd", shape: Object(&CORE_V1_RBD_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "scaleIO", shape: Object(&CORE_V1_SCALE_IO_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "storageClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "storageos", shape: Object(&CORE_V1_STORAGE_OS_PERSISTENT_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "volumeAttributesClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeMode", shape: String, flags: 0, merge_key: "" },
    F { name: "vsphereVolume", shape: Object(&CORE_V1_VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PERSISTENT_VOLUME_STATUS: S = S {
    name: "io.k8s.api.core.v1.PersistentVolumeStatus", atomic: false,
    fields: &[
    F { name: "lastPhaseTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "phase", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PHOTON_PERSISTENT_DISK_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.PhotonPersistentDiskVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "pdID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD: S = S {
    name: "io.k8s.api.core.v1.Pod", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_POD_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_POD_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_AFFINITY: S = S {
    name: "io.k8s.api.core.v1.PodAffinity", atomic: false,
    fields: &[
    F { name: "preferredDuringSchedulingIgnoredDuringExecution", shape: List(&L { items: Object(&CORE_V1_WEIGHTED_POD_AFFINITY_TERM), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "requiredDuringSchedulingIgnoredDuringExecution", shape: List(&L { items: Object(&CORE_V1_POD_AFFINITY_TERM), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_AFFINITY_TERM: S = S {
    name: "io.k8s.api.core.v1.PodAffinityTerm", atomic: false,
    fields: &[
    F { name: "labelSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "matchLabelKeys", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "mismatchLabelKeys", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "namespaceSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "namespaces", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "topologyKey", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_ANTI_AFFINITY: S = S {
    name: "io.k8s.api.core.v1.PodAntiAffinity", atomic: false,
    fields: &[
    F { name: "preferredDuringSchedulingIgnoredDuringExecution", shape: List(&L { items: Object(&CORE_V1_WEIGHTED_POD_AFFINITY_TERM), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "requiredDuringSchedulingIgnoredDuringExecution", shape: List(&L { items: Object(&CORE_V1_POD_AFFINITY_TERM), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_CERTIFICATE_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.PodCertificateProjection", atomic: false,
    fields: &[
    F { name: "certificateChainPath", shape: String, flags: 0, merge_key: "" },
    F { name: "credentialBundlePath", shape: String, flags: 0, merge_key: "" },
    F { name: "keyPath", shape: String, flags: 0, merge_key: "" },
    F { name: "keyType", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "maxExpirationSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "signerName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "user", shape: Int64, flags: 0, merge_key: "" },
    F { name: "userAnnotations", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_CONDITION: S = S {
    name: "io.k8s.api.core.v1.PodCondition", atomic: false,
    fields: &[
    F { name: "lastProbeTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_DNS_CONFIG: S = S {
    name: "io.k8s.api.core.v1.PodDNSConfig", atomic: false,
    fields: &[
    F { name: "nameservers", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "options", shape: List(&L { items: Object(&CORE_V1_POD_DNS_CONFIG_OPTION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "searches", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_DNS_CONFIG_OPTION: S = S {
    name: "io.k8s.api.core.v1.PodDNSConfigOption", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "value", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_EXTENDED_RESOURCE_CLAIM_STATUS: S = S {
    name: "io.k8s.api.core.v1.PodExtendedResourceClaimStatus", atomic: false,
    fields: &[
    F { name: "requestMappings", shape: List(&L { items: Object(&CORE_V1_CONTAINER_EXTENDED_RESOURCE_REQUEST), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "resourceClaimName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_IP: S = S {
    name: "io.k8s.api.core.v1.PodIP", atomic: false,
    fields: &[
    F { name: "ip", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_LIST: S = S {
    name: "io.k8s.api.core.v1.PodList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_POD), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_OS: S = S {
    name: "io.k8s.api.core.v1.PodOS", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_READINESS_GATE: S = S {
    name: "io.k8s.api.core.v1.PodReadinessGate", atomic: false,
    fields: &[
    F { name: "conditionType", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_RESOURCE_CLAIM: S = S {
    name: "io.k8s.api.core.v1.PodResourceClaim", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceClaimName", shape: String, flags: 0, merge_key: "" },
    F { name: "resourceClaimTemplateName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_RESOURCE_CLAIM_STATUS: S = S {
    name: "io.k8s.api.core.v1.PodResourceClaimStatus", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceClaimName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_SCHEDULING_GATE: S = S {
    name: "io.k8s.api.core.v1.PodSchedulingGate", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_POD_SCHEDULING_GROUP: S = S {
    name: "io.k8s.api.core.v1.PodSchedulingGroup", atomic: false,
    fields: &[
    F { name: "podGroupName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_SECURITY_CONTEXT: S = S {
    name: "io.k8s.api.core.v1.PodSecurityContext", atomic: false,
    fields: &[
    F { name: "appArmorProfile", shape: Object(&CORE_V1_APP_ARMOR_PROFILE), flags: 0, merge_key: "" },
    F { name: "fsGroup", shape: Int64, flags: 0, merge_key: "" },
    F { name: "fsGroupChangePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "runAsGroup", shape: Int64, flags: 0, merge_key: "" },
    F { name: "runAsNonRoot", shape: Bool, flags: 0, merge_key: "" },
    F { name: "runAsUser", shape: Int64, flags: 0, merge_key: "" },
    F { name: "seLinuxChangePolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "seLinuxOptions", shape: Object(&CORE_V1_SE_LINUX_OPTIONS), flags: 0, merge_key: "" },
    F { name: "seccompProfile", shape: Object(&CORE_V1_SECCOMP_PROFILE), flags: 0, merge_key: "" },
    F { name: "supplementalGroups", shape: List(&L { items: Int64, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "supplementalGroupsPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "sysctls", shape: List(&L { items: Object(&CORE_V1_SYSCTL), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "windowsOptions", shape: Object(&CORE_V1_WINDOWS_SECURITY_CONTEXT_OPTIONS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_SPEC: S = S {
    name: "io.k8s.api.core.v1.PodSpec", atomic: false,
    fields: &[
    F { name: "activeDeadlineSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "affinity", shape: Object(&CORE_V1_AFFINITY), flags: 0, merge_key: "" },
    F { name: "automountServiceAccountToken", shape: Bool, flags: 0, merge_key: "" },
    F { name: "containers", shape: List(&L { items: Object(&CORE_V1_CONTAINER), kind: Keyed(&[K("name", None)]) }), flags: REQUIRED | MERGE, merge_key: "name" },
    F { name: "dnsConfig", shape: Object(&CORE_V1_POD_DNS_CONFIG), flags: 0, merge_key: "" },
    F { name: "dnsPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "enableServiceLinks", shape: Bool, flags: 0, merge_key: "" },
    F { name: "ephemeralContainers", shape: List(&L { items: Object(&CORE_V1_EPHEMERAL_CONTAINER), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "evictionResponders", shape: List(&L { items: Object(&CORE_V1_EVICTION_RESPONDER), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "hostAliases", shape: List(&L { items: Object(&CORE_V1_HOST_ALIAS), kind: Keyed(&[K("ip", None)]) }), flags: MERGE, merge_key: "ip" },
    F { name: "hostIPC", shape: Bool, flags: 0, merge_key: "" },
    F { name: "hostNetwork", shape: Bool, flags: 0, merge_key: "" },
    F { name: "hostPID", shape: Bool, flags: 0, merge_key: "" },
    F { name: "hostUsers", shape: Bool, flags: 0, merge_key: "" },
    F { name: "hostname", shape: String, flags: 0, merge_key: "" },
    F { name: "hostnameOverride", shape: String, flags: 0, merge_key: "" },
    F { name: "imagePullSecrets", shape: List(&L { items: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), kind: Keyed(&[K("name", Some(""))]) }), flags: MERGE, merge_key: "name" },
    F { name: "initContainers", shape: List(&L { items: Object(&CORE_V1_CONTAINER), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "nodeName", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeSelector", shape: Map(&M { values: String, atomic: true }), flags: 0, merge_key: "" },
    F { name: "os", shape: Object(&CORE_V1_POD_OS), flags: 0, merge_key: "" },
    F { name: "overhead", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "preemptionPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "priority", shape: Int32, flags: 0, merge_key: "" },
    F { name: "priorityClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "readinessGates", shape: List(&L { items: Object(&CORE_V1_POD_READINESS_GATE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resourceClaims", shape: List(&L { items: Object(&CORE_V1_POD_RESOURCE_CLAIM), kind: Keyed(&[K("name", None)]) }), flags: MERGE | RETAIN, merge_key: "name" },
    F { name: "resources", shape: Object(&CORE_V1_RESOURCE_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "restartPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "runtimeClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "schedulerName", shape: String, flags: 0, merge_key: "" },
    F { name: "schedulingGates", shape: List(&L { items: Object(&CORE_V1_POD_SCHEDULING_GATE), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    F { name: "schedulingGroup", shape: Object(&CORE_V1_POD_SCHEDULING_GROUP), flags: 0, merge_key: "" },
    F { name: "securityContext", shape: Object(&CORE_V1_POD_SECURITY_CONTEXT), flags: 0, merge_key: "" },
    F { name: "serviceAccount", shape: String, flags: 0, merge_key: "" },
    F { name: "serviceAccountName", shape: String, flags: 0, merge_key: "" },
    F { name: "setHostnameAsFQDN", shape: Bool, flags: 0, merge_key: "" },
    F { name: "shareProcessNamespace", shape: Bool, flags: 0, merge_key: "" },
    F { name: "subdomain", shape: String, flags: 0, merge_key: "" },
    F { name: "terminationGracePeriodSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "tolerations", shape: List(&L { items: Object(&CORE_V1_TOLERATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "topologySpreadConstraints", shape: List(&L { items: Object(&CORE_V1_TOPOLOGY_SPREAD_CONSTRAINT), kind: Keyed(&[K("topologyKey", None), K("whenUnsatisfiable", None)]) }), flags: MERGE, merge_key: "topologyKey" },
    F { name: "volumes", shape: List(&L { items: Object(&CORE_V1_VOLUME), kind: Keyed(&[K("name", None)]) }), flags: MERGE | RETAIN, merge_key: "name" },
    ],
};

static CORE_V1_POD_STATUS: S = S {
    name: "io.k8s.api.core.v1.PodStatus", atomic: false,
    fields: &[
    F { name: "allocatedResources", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&CORE_V1_POD_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "containerStatuses", shape: List(&L { items: Object(&CORE_V1_CONTAINER_STATUS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ephemeralContainerStatuses", shape: List(&L { items: Object(&CORE_V1_CONTAINER_STATUS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "extendedResourceClaimStatus", shape: Object(&CORE_V1_POD_EXTENDED_RESOURCE_CLAIM_STATUS), flags: 0, merge_key: "" },
    F { name: "hostIP", shape: String, flags: 0, merge_key: "" },
    F { name: "hostIPs", shape: List(&L { items: Object(&CORE_V1_HOST_IP), kind: Atomic }), flags: MERGE, merge_key: "ip" },
    F { name: "initContainerStatuses", shape: List(&L { items: Object(&CORE_V1_CONTAINER_STATUS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeAllocatableResourceClaimStatuses", shape: List(&L { items: Object(&CORE_V1_NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUS), kind: Keyed(&[K("resourceClaimName", None)]) }), flags: MERGE, merge_key: "resourceClaimName" },
    F { name: "nominatedNodeName", shape: String, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "phase", shape: String, flags: 0, merge_key: "" },
    F { name: "podIP", shape: String, flags: 0, merge_key: "" },
    F { name: "podIPs", shape: List(&L { items: Object(&CORE_V1_POD_IP), kind: Keyed(&[K("ip", None)]) }), flags: MERGE, merge_key: "ip" },
    F { name: "qosClass", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "resize", shape: String, flags: 0, merge_key: "" },
    F { name: "resourceClaimStatuses", shape: List(&L { items: Object(&CORE_V1_POD_RESOURCE_CLAIM_STATUS), kind: Keyed(&[K("name", None)]) }), flags: MERGE | RETAIN, merge_key: "name" },
    F { name: "resources", shape: Object(&CORE_V1_RESOURCE_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "startTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "volumeHealth", shape: List(&L { items: Object(&CORE_V1_POD_VOLUME_HEALTH), kind: Keyed(&[K("name", None)]) }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_TEMPLATE: S = S {
    name: "io.k8s.api.core.v1.PodTemplate", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_TEMPLATE_LIST: S = S {
    name: "io.k8s.api.core.v1.PodTemplateList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_POD_TEMPLATE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_TEMPLATE_SPEC: S = S {
    name: "io.k8s.api.core.v1.PodTemplateSpec", atomic: false,
    fields: &[
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_POD_SPEC), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_POD_VOLUME_HEALTH: S = S {
    name: "io.k8s.api.core.v1.PodVolumeHealth", atomic: false,
    fields: &[
    F { name: "healthConditions", shape: List(&L { items: Object(&CORE_V1_VOLUME_HEALTH_CONDITION), kind: Keyed(&[K("reason", None), K("status", None)]) }), flags: MERGE, merge_key: "status" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_PORT_STATUS: S = S {
    name: "io.k8s.api.core.v1.PortStatus", atomic: false,
    fields: &[
    F { name: "error", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "protocol", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_PORTWORX_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.PortworxVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "volumeID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_PREFERRED_SCHEDULING_TERM: S = S {
    name: "io.k8s.api.core.v1.PreferredSchedulingTerm", atomic: false,
    fields: &[
    F { name: "preference", shape: Object(&CORE_V1_NODE_SELECTOR_TERM), flags: REQUIRED, merge_key: "" },
    F { name: "weight", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_PROBE: S = S {
    name: "io.k8s.api.core.v1.Probe", atomic: false,
    fields: &[
    F { name: "exec", shape: Object(&CORE_V1_EXEC_ACTION), flags: 0, merge_key: "" },
    F { name: "failureThreshold", shape: Int32, flags: 0, merge_key: "" },
    F { name: "grpc", shape: Object(&CORE_V1_GRPC_ACTION), flags: 0, merge_key: "" },
    F { name: "httpGet", shape: Object(&CORE_V1_HTTP_GET_ACTION), flags: 0, merge_key: "" },
    F { name: "initialDelaySeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "periodSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "successThreshold", shape: Int32, flags: 0, merge_key: "" },
    F { name: "tcpSocket", shape: Object(&CORE_V1_TCP_SOCKET_ACTION), flags: 0, merge_key: "" },
    F { name: "terminationGracePeriodSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "timeoutSeconds", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_PROJECTED_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ProjectedVolumeSource", atomic: false,
    fields: &[
    F { name: "defaultMode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "defaultUser", shape: Int64, flags: 0, merge_key: "" },
    F { name: "sources", shape: List(&L { items: Object(&CORE_V1_VOLUME_PROJECTION), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_QUOBYTE_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.QuobyteVolumeSource", atomic: false,
    fields: &[
    F { name: "group", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "registry", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "tenant", shape: String, flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    F { name: "volume", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_RBD_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.RBDPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "image", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "keyring", shape: String, flags: 0, merge_key: "" },
    F { name: "monitors", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "pool", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RBD_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.RBDVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "image", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "keyring", shape: String, flags: 0, merge_key: "" },
    F { name: "monitors", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "pool", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_REPLICATION_CONTROLLER: S = S {
    name: "io.k8s.api.core.v1.ReplicationController", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_REPLICATION_CONTROLLER_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_REPLICATION_CONTROLLER_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_REPLICATION_CONTROLLER_CONDITION: S = S {
    name: "io.k8s.api.core.v1.ReplicationControllerCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_REPLICATION_CONTROLLER_LIST: S = S {
    name: "io.k8s.api.core.v1.ReplicationControllerList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_REPLICATION_CONTROLLER), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_REPLICATION_CONTROLLER_SPEC: S = S {
    name: "io.k8s.api.core.v1.ReplicationControllerSpec", atomic: false,
    fields: &[
    F { name: "minReadySeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "selector", shape: Map(&M { values: String, atomic: true }), flags: 0, merge_key: "" },
    F { name: "template", shape: Object(&CORE_V1_POD_TEMPLATE_SPEC), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_REPLICATION_CONTROLLER_STATUS: S = S {
    name: "io.k8s.api.core.v1.ReplicationControllerStatus", atomic: false,
    fields: &[
    F { name: "availableReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&CORE_V1_REPLICATION_CONTROLLER_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "fullyLabeledReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "readyReplicas", shape: Int32, flags: 0, merge_key: "" },
    F { name: "replicas", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_CLAIM: S = S {
    name: "io.k8s.api.core.v1.ResourceClaim", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "request", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_FIELD_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.ResourceFieldSelector", atomic: true,
    fields: &[
    F { name: "containerName", shape: String, flags: 0, merge_key: "" },
    F { name: "divisor", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "resource", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_HEALTH: S = S {
    name: "io.k8s.api.core.v1.ResourceHealth", atomic: false,
    fields: &[
    F { name: "health", shape: String, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "resourceID", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_QUOTA: S = S {
    name: "io.k8s.api.core.v1.ResourceQuota", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_RESOURCE_QUOTA_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_RESOURCE_QUOTA_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_QUOTA_LIST: S = S {
    name: "io.k8s.api.core.v1.ResourceQuotaList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_RESOURCE_QUOTA), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_QUOTA_SPEC: S = S {
    name: "io.k8s.api.core.v1.ResourceQuotaSpec", atomic: false,
    fields: &[
    F { name: "hard", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "scopeSelector", shape: Object(&CORE_V1_SCOPE_SELECTOR), flags: 0, merge_key: "" },
    F { name: "scopes", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_QUOTA_STATUS: S = S {
    name: "io.k8s.api.core.v1.ResourceQuotaStatus", atomic: false,
    fields: &[
    F { name: "hard", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "used", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_REQUIREMENTS: S = S {
    name: "io.k8s.api.core.v1.ResourceRequirements", atomic: false,
    fields: &[
    F { name: "claims", shape: List(&L { items: Object(&CORE_V1_RESOURCE_CLAIM), kind: Keyed(&[K("name", None)]) }), flags: 0, merge_key: "" },
    F { name: "limits", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "requests", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_RESOURCE_STATUS: S = S {
    name: "io.k8s.api.core.v1.ResourceStatus", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resources", shape: List(&L { items: Object(&CORE_V1_RESOURCE_HEALTH), kind: Keyed(&[K("resourceID", None)]) }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SE_LINUX_OPTIONS: S = S {
    name: "io.k8s.api.core.v1.SELinuxOptions", atomic: false,
    fields: &[
    F { name: "level", shape: String, flags: 0, merge_key: "" },
    F { name: "role", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    F { name: "user", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SCALE_IO_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ScaleIOPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "gateway", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "protectionDomain", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_SECRET_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "sslEnabled", shape: Bool, flags: 0, merge_key: "" },
    F { name: "storageMode", shape: String, flags: 0, merge_key: "" },
    F { name: "storagePool", shape: String, flags: 0, merge_key: "" },
    F { name: "system", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "volumeName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SCALE_IO_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.ScaleIOVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "gateway", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "protectionDomain", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "sslEnabled", shape: Bool, flags: 0, merge_key: "" },
    F { name: "storageMode", shape: String, flags: 0, merge_key: "" },
    F { name: "storagePool", shape: String, flags: 0, merge_key: "" },
    F { name: "system", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "volumeName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SCOPE_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.ScopeSelector", atomic: true,
    fields: &[
    F { name: "matchExpressions", shape: List(&L { items: Object(&CORE_V1_SCOPED_RESOURCE_SELECTOR_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SCOPED_RESOURCE_SELECTOR_REQUIREMENT: S = S {
    name: "io.k8s.api.core.v1.ScopedResourceSelectorRequirement", atomic: false,
    fields: &[
    F { name: "operator", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "scopeName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECCOMP_PROFILE: S = S {
    name: "io.k8s.api.core.v1.SeccompProfile", atomic: false,
    fields: &[
    F { name: "localhostProfile", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_SECRET: S = S {
    name: "io.k8s.api.core.v1.Secret", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "data", shape: Map(&M { values: Bytes, atomic: false }), flags: 0, merge_key: "" },
    F { name: "immutable", shape: Bool, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "stringData", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECRET_ENV_SOURCE: S = S {
    name: "io.k8s.api.core.v1.SecretEnvSource", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECRET_KEY_SELECTOR: S = S {
    name: "io.k8s.api.core.v1.SecretKeySelector", atomic: true,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECRET_LIST: S = S {
    name: "io.k8s.api.core.v1.SecretList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_SECRET), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECRET_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.SecretProjection", atomic: false,
    fields: &[
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_KEY_TO_PATH), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECRET_REFERENCE: S = S {
    name: "io.k8s.api.core.v1.SecretReference", atomic: true,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECRET_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.SecretVolumeSource", atomic: false,
    fields: &[
    F { name: "defaultMode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "defaultUser", shape: Int64, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_KEY_TO_PATH), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "optional", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretName", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SECURITY_CONTEXT: S = S {
    name: "io.k8s.api.core.v1.SecurityContext", atomic: false,
    fields: &[
    F { name: "allowPrivilegeEscalation", shape: Bool, flags: 0, merge_key: "" },
    F { name: "appArmorProfile", shape: Object(&CORE_V1_APP_ARMOR_PROFILE), flags: 0, merge_key: "" },
    F { name: "capabilities", shape: Object(&CORE_V1_CAPABILITIES), flags: 0, merge_key: "" },
    F { name: "privileged", shape: Bool, flags: 0, merge_key: "" },
    F { name: "procMount", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnlyRootFilesystem", shape: Bool, flags: 0, merge_key: "" },
    F { name: "runAsGroup", shape: Int64, flags: 0, merge_key: "" },
    F { name: "runAsNonRoot", shape: Bool, flags: 0, merge_key: "" },
    F { name: "runAsUser", shape: Int64, flags: 0, merge_key: "" },
    F { name: "seLinuxOptions", shape: Object(&CORE_V1_SE_LINUX_OPTIONS), flags: 0, merge_key: "" },
    F { name: "seccompProfile", shape: Object(&CORE_V1_SECCOMP_PROFILE), flags: 0, merge_key: "" },
    F { name: "windowsOptions", shape: Object(&CORE_V1_WINDOWS_SECURITY_CONTEXT_OPTIONS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE: S = S {
    name: "io.k8s.api.core.v1.Service", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&CORE_V1_SERVICE_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&CORE_V1_SERVICE_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE_ACCOUNT: S = S {
    name: "io.k8s.api.core.v1.ServiceAccount", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "automountServiceAccountToken", shape: Bool, flags: 0, merge_key: "" },
    F { name: "imagePullSecrets", shape: List(&L { items: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "secrets", shape: List(&L { items: Object(&CORE_V1_OBJECT_REFERENCE), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    ],
};

static CORE_V1_SERVICE_ACCOUNT_LIST: S = S {
    name: "io.k8s.api.core.v1.ServiceAccountList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_SERVICE_ACCOUNT), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE_ACCOUNT_TOKEN_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.ServiceAccountTokenProjection", atomic: false,
    fields: &[
    F { name: "audience", shape: String, flags: 0, merge_key: "" },
    F { name: "expirationSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "path", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "user", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE_LIST: S = S {
    name: "io.k8s.api.core.v1.ServiceList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&CORE_V1_SERVICE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE_PORT: S = S {
    name: "io.k8s.api.core.v1.ServicePort", atomic: false,
    fields: &[
    F { name: "appProtocol", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "nodePort", shape: Int32, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "protocol", shape: String, flags: 0, merge_key: "" },
    F { name: "targetPort", shape: IntOrString, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE_SPEC: S = S {
    name: "io.k8s.api.core.v1.ServiceSpec", atomic: false,
    fields: &[
    F { name: "allocateLoadBalancerNodePorts", shape: Bool, flags: 0, merge_key: "" },
    F { name: "clusterIP", shape: String, flags: 0, merge_key: "" },
    F { name: "clusterIPs", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "externalIPs", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "externalName", shape: String, flags: 0, merge_key: "" },
    F { name: "externalTrafficPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "healthCheckNodePort", shape: Int32, flags: 0, merge_key: "" },
    F { name: "internalTrafficPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "ipFamilies", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ipFamilyPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "loadBalancerClass", shape: String, flags: 0, merge_key: "" },
    F { name: "loadBalancerIP", shape: String, flags: 0, merge_key: "" },
    F { name: "loadBalancerSourceRanges", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&CORE_V1_SERVICE_PORT), kind: Keyed(&[K("port", None), K("protocol", Some("TCP"))]) }), flags: MERGE, merge_key: "port" },
    F { name: "publishNotReadyAddresses", shape: Bool, flags: 0, merge_key: "" },
    F { name: "selector", shape: Map(&M { values: String, atomic: true }), flags: 0, merge_key: "" },
    F { name: "sessionAffinity", shape: String, flags: 0, merge_key: "" },
    F { name: "sessionAffinityConfig", shape: Object(&CORE_V1_SESSION_AFFINITY_CONFIG), flags: 0, merge_key: "" },
    F { name: "trafficDistribution", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SERVICE_STATUS: S = S {
    name: "io.k8s.api.core.v1.ServiceStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "loadBalancer", shape: Object(&CORE_V1_LOAD_BALANCER_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SESSION_AFFINITY_CONFIG: S = S {
    name: "io.k8s.api.core.v1.SessionAffinityConfig", atomic: false,
    fields: &[
    F { name: "clientIP", shape: Object(&CORE_V1_CLIENT_IP_CONFIG), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SLEEP_ACTION: S = S {
    name: "io.k8s.api.core.v1.SleepAction", atomic: false,
    fields: &[
    F { name: "seconds", shape: Int64, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_STORAGE_OS_PERSISTENT_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.StorageOSPersistentVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "volumeName", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeNamespace", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_STORAGE_OS_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.StorageOSVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "secretRef", shape: Object(&CORE_V1_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "volumeName", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeNamespace", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_SYSCTL: S = S {
    name: "io.k8s.api.core.v1.Sysctl", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "value", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_TCP_SOCKET_ACTION: S = S {
    name: "io.k8s.api.core.v1.TCPSocketAction", atomic: false,
    fields: &[
    F { name: "host", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: IntOrString, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_TAINT: S = S {
    name: "io.k8s.api.core.v1.Taint", atomic: false,
    fields: &[
    F { name: "effect", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "timeAdded", shape: Time, flags: 0, merge_key: "" },
    F { name: "value", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_TOLERATION: S = S {
    name: "io.k8s.api.core.v1.Toleration", atomic: false,
    fields: &[
    F { name: "effect", shape: String, flags: 0, merge_key: "" },
    F { name: "key", shape: String, flags: 0, merge_key: "" },
    F { name: "operator", shape: String, flags: 0, merge_key: "" },
    F { name: "tolerationSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "value", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_TOPOLOGY_SELECTOR_LABEL_REQUIREMENT: S = S {
    name: "io.k8s.api.core.v1.TopologySelectorLabelRequirement", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_TOPOLOGY_SELECTOR_TERM: S = S {
    name: "io.k8s.api.core.v1.TopologySelectorTerm", atomic: true,
    fields: &[
    F { name: "matchLabelExpressions", shape: List(&L { items: Object(&CORE_V1_TOPOLOGY_SELECTOR_LABEL_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_TOPOLOGY_SPREAD_CONSTRAINT: S = S {
    name: "io.k8s.api.core.v1.TopologySpreadConstraint", atomic: false,
    fields: &[
    F { name: "labelSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "matchLabelKeys", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "maxSkew", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "minDomains", shape: Int32, flags: 0, merge_key: "" },
    F { name: "nodeAffinityPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeTaintsPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "topologyKey", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "whenUnsatisfiable", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_TYPED_LOCAL_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.core.v1.TypedLocalObjectReference", atomic: true,
    fields: &[
    F { name: "apiGroup", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_TYPED_OBJECT_REFERENCE: S = S {
    name: "io.k8s.api.core.v1.TypedObjectReference", atomic: false,
    fields: &[
    F { name: "apiGroup", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME: S = S {
    name: "io.k8s.api.core.v1.Volume", atomic: false,
    fields: &[
    F { name: "awsElasticBlockStore", shape: Object(&CORE_V1_AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "azureDisk", shape: Object(&CORE_V1_AZURE_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "azureFile", shape: Object(&CORE_V1_AZURE_FILE_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "cephfs", shape: Object(&CORE_V1_CEPH_FS_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "cinder", shape: Object(&CORE_V1_CINDER_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "configMap", shape: Object(&CORE_V1_CONFIG_MAP_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "csi", shape: Object(&CORE_V1_CSI_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "downwardAPI", shape: Object(&CORE_V1_DOWNWARD_API_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "emptyDir", shape: Object(&CORE_V1_EMPTY_DIR_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "ephemeral", shape: Object(&CORE_V1_EPHEMERAL_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "fc", shape: Object(&CORE_V1_FC_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "flexVolume", shape: Object(&CORE_V1_FLEX_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "flocker", shape: Object(&CORE_V1_FLOCKER_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "gcePersistentDisk", shape: Object(&CORE_V1_GCE_PERSISTENT_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "gitRepo", shape: Object(&CORE_V1_GIT_REPO_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "glusterfs", shape: Object(&CORE_V1_GLUSTERFS_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "hostPath", shape: Object(&CORE_V1_HOST_PATH_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "image", shape: Object(&CORE_V1_IMAGE_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "iscsi", shape: Object(&CORE_V1_ISCSI_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nfs", shape: Object(&CORE_V1_NFS_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "persistentVolumeClaim", shape: Object(&CORE_V1_PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "photonPersistentDisk", shape: Object(&CORE_V1_PHOTON_PERSISTENT_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "portworxVolume", shape: Object(&CORE_V1_PORTWORX_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "projected", shape: Object(&CORE_V1_PROJECTED_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "quobyte", shape: Object(&CORE_V1_QUOBYTE_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "rbd", shape: Object(&CORE_V1_RBD_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "scaleIO", shape: Object(&CORE_V1_SCALE_IO_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "secret", shape: Object(&CORE_V1_SECRET_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "storageos", shape: Object(&CORE_V1_STORAGE_OS_VOLUME_SOURCE), flags: 0, merge_key: "" },
    F { name: "vsphereVolume", shape: Object(&CORE_V1_VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_DEVICE: S = S {
    name: "io.k8s.api.core.v1.VolumeDevice", atomic: false,
    fields: &[
    F { name: "devicePath", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_HEALTH_CONDITION: S = S {
    name: "io.k8s.api.core.v1.VolumeHealthCondition", atomic: false,
    fields: &[
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_HEALTH_STATUS: S = S {
    name: "io.k8s.api.core.v1.VolumeHealthStatus", atomic: false,
    fields: &[
    F { name: "healthConditions", shape: List(&L { items: Object(&CORE_V1_VOLUME_HEALTH_CONDITION), kind: Keyed(&[K("reason", None), K("status", None)]) }), flags: MERGE, merge_key: "status" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_MOUNT: S = S {
    name: "io.k8s.api.core.v1.VolumeMount", atomic: false,
    fields: &[
    F { name: "bindMountOptions", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    F { name: "mountPath", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "mountPropagation", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "recursiveReadOnly", shape: String, flags: 0, merge_key: "" },
    F { name: "subPath", shape: String, flags: 0, merge_key: "" },
    F { name: "subPathExpr", shape: String, flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_MOUNT_STATUS: S = S {
    name: "io.k8s.api.core.v1.VolumeMountStatus", atomic: false,
    fields: &[
    F { name: "mountPath", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "readOnly", shape: Bool, flags: 0, merge_key: "" },
    F { name: "recursiveReadOnly", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeStatus", shape: Object(&CORE_V1_VOLUME_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_NODE_AFFINITY: S = S {
    name: "io.k8s.api.core.v1.VolumeNodeAffinity", atomic: false,
    fields: &[
    F { name: "required", shape: Object(&CORE_V1_NODE_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_PROJECTION: S = S {
    name: "io.k8s.api.core.v1.VolumeProjection", atomic: false,
    fields: &[
    F { name: "clusterTrustBundle", shape: Object(&CORE_V1_CLUSTER_TRUST_BUNDLE_PROJECTION), flags: 0, merge_key: "" },
    F { name: "configMap", shape: Object(&CORE_V1_CONFIG_MAP_PROJECTION), flags: 0, merge_key: "" },
    F { name: "downwardAPI", shape: Object(&CORE_V1_DOWNWARD_API_PROJECTION), flags: 0, merge_key: "" },
    F { name: "podCertificate", shape: Object(&CORE_V1_POD_CERTIFICATE_PROJECTION), flags: 0, merge_key: "" },
    F { name: "secret", shape: Object(&CORE_V1_SECRET_PROJECTION), flags: 0, merge_key: "" },
    F { name: "serviceAccountToken", shape: Object(&CORE_V1_SERVICE_ACCOUNT_TOKEN_PROJECTION), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_RESOURCE_REQUIREMENTS: S = S {
    name: "io.k8s.api.core.v1.VolumeResourceRequirements", atomic: false,
    fields: &[
    F { name: "limits", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "requests", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VOLUME_STATUS: S = S {
    name: "io.k8s.api.core.v1.VolumeStatus", atomic: false,
    fields: &[
    F { name: "image", shape: Object(&CORE_V1_IMAGE_VOLUME_STATUS), flags: 0, merge_key: "" },
    ],
};

static CORE_V1_VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE: S = S {
    name: "io.k8s.api.core.v1.VsphereVirtualDiskVolumeSource", atomic: false,
    fields: &[
    F { name: "fsType", shape: String, flags: 0, merge_key: "" },
    F { name: "storagePolicyID", shape: String, flags: 0, merge_key: "" },
    F { name: "storagePolicyName", shape: String, flags: 0, merge_key: "" },
    F { name: "volumePath", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_WEIGHTED_POD_AFFINITY_TERM: S = S {
    name: "io.k8s.api.core.v1.WeightedPodAffinityTerm", atomic: false,
    fields: &[
    F { name: "podAffinityTerm", shape: Object(&CORE_V1_POD_AFFINITY_TERM), flags: REQUIRED, merge_key: "" },
    F { name: "weight", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static CORE_V1_WINDOWS_SECURITY_CONTEXT_OPTIONS: S = S {
    name: "io.k8s.api.core.v1.WindowsSecurityContextOptions", atomic: false,
    fields: &[
    F { name: "gmsaCredentialSpec", shape: String, flags: 0, merge_key: "" },
    F { name: "gmsaCredentialSpecName", shape: String, flags: 0, merge_key: "" },
    F { name: "hostProcess", shape: Bool, flags: 0, merge_key: "" },
    F { name: "runAsUserName", shape: String, flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_ENDPOINT: S = S {
    name: "io.k8s.api.discovery.v1.Endpoint", atomic: false,
    fields: &[
    F { name: "addresses", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    F { name: "conditions", shape: Object(&DISCOVERY_V1_ENDPOINT_CONDITIONS), flags: 0, merge_key: "" },
    F { name: "deprecatedTopology", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "hints", shape: Object(&DISCOVERY_V1_ENDPOINT_HINTS), flags: 0, merge_key: "" },
    F { name: "hostname", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeName", shape: String, flags: 0, merge_key: "" },
    F { name: "targetRef", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "zone", shape: String, flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_ENDPOINT_CONDITIONS: S = S {
    name: "io.k8s.api.discovery.v1.EndpointConditions", atomic: false,
    fields: &[
    F { name: "ready", shape: Bool, flags: 0, merge_key: "" },
    F { name: "serving", shape: Bool, flags: 0, merge_key: "" },
    F { name: "terminating", shape: Bool, flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_ENDPOINT_HINTS: S = S {
    name: "io.k8s.api.discovery.v1.EndpointHints", atomic: false,
    fields: &[
    F { name: "forNodes", shape: List(&L { items: Object(&DISCOVERY_V1_FOR_NODE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "forZones", shape: List(&L { items: Object(&DISCOVERY_V1_FOR_ZONE), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_ENDPOINT_PORT: S = S {
    name: "io.k8s.api.discovery.v1.EndpointPort", atomic: true,
    fields: &[
    F { name: "appProtocol", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: 0, merge_key: "" },
    F { name: "protocol", shape: String, flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_ENDPOINT_SLICE: S = S {
    name: "io.k8s.api.discovery.v1.EndpointSlice", atomic: false,
    fields: &[
    F { name: "addressType", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "endpoints", shape: List(&L { items: Object(&DISCOVERY_V1_ENDPOINT), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&DISCOVERY_V1_ENDPOINT_PORT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_ENDPOINT_SLICE_LIST: S = S {
    name: "io.k8s.api.discovery.v1.EndpointSliceList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&DISCOVERY_V1_ENDPOINT_SLICE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static DISCOVERY_V1_FOR_NODE: S = S {
    name: "io.k8s.api.discovery.v1.ForNode", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static DISCOVERY_V1_FOR_ZONE: S = S {
    name: "io.k8s.api.discovery.v1.ForZone", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static EVENTS_V1_EVENT: S = S {
    name: "io.k8s.api.events.v1.Event", atomic: false,
    fields: &[
    F { name: "action", shape: String, flags: 0, merge_key: "" },
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "deprecatedCount", shape: Int32, flags: 0, merge_key: "" },
    F { name: "deprecatedFirstTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "deprecatedLastTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "deprecatedSource", shape: Object(&CORE_V1_EVENT_SOURCE), flags: 0, merge_key: "" },
    F { name: "eventTime", shape: MicroTime, flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "note", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "regarding", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "related", shape: Object(&CORE_V1_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "reportingController", shape: String, flags: 0, merge_key: "" },
    F { name: "reportingInstance", shape: String, flags: 0, merge_key: "" },
    F { name: "series", shape: Object(&EVENTS_V1_EVENT_SERIES), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    ],
};

static EVENTS_V1_EVENT_LIST: S = S {
    name: "io.k8s.api.events.v1.EventList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&EVENTS_V1_EVENT), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static EVENTS_V1_EVENT_SERIES: S = S {
    name: "io.k8s.api.events.v1.EventSeries", atomic: false,
    fields: &[
    F { name: "count", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "lastObservedTime", shape: MicroTime, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_EXEMPT_PRIORITY_LEVEL_CONFIGURATION: S = S {
    name: "io.k8s.api.flowcontrol.v1.ExemptPriorityLevelConfiguration", atomic: false,
    fields: &[
    F { name: "lendablePercent", shape: Int32, flags: 0, merge_key: "" },
    F { name: "nominalConcurrencyShares", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_FLOW_DISTINGUISHER_METHOD: S = S {
    name: "io.k8s.api.flowcontrol.v1.FlowDistinguisherMethod", atomic: false,
    fields: &[
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_FLOW_SCHEMA: S = S {
    name: "io.k8s.api.flowcontrol.v1.FlowSchema", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&FLOWCONTROL_V1_FLOW_SCHEMA_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&FLOWCONTROL_V1_FLOW_SCHEMA_STATUS), flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_FLOW_SCHEMA_CONDITION: S = S {
    name: "io.k8s.api.flowcontrol.v1.FlowSchemaCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_FLOW_SCHEMA_LIST: S = S {
    name: "io.k8s.api.flowcontrol.v1.FlowSchemaList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&FLOWCONTROL_V1_FLOW_SCHEMA), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_FLOW_SCHEMA_SPEC: S = S {
    name: "io.k8s.api.flowcontrol.v1.FlowSchemaSpec", atomic: false,
    fields: &[
    F { name: "distinguisherMethod", shape: Object(&FLOWCONTROL_V1_FLOW_DISTINGUISHER_METHOD), flags: 0, merge_key: "" },
    F { name: "matchingPrecedence", shape: Int32, flags: 0, merge_key: "" },
    F { name: "priorityLevelConfiguration", shape: Object(&FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_REFERENCE), flags: REQUIRED, merge_key: "" },
    F { name: "rules", shape: List(&L { items: Object(&FLOWCONTROL_V1_POLICY_RULES_WITH_SUBJECTS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_FLOW_SCHEMA_STATUS: S = S {
    name: "io.k8s.api.flowcontrol.v1.FlowSchemaStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&FLOWCONTROL_V1_FLOW_SCHEMA_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    ],
};

static FLOWCONTROL_V1_GROUP_SUBJECT: S = S {
    name: "io.k8s.api.flowcontrol.v1.GroupSubject", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_LIMIT_RESPONSE: S = S {
    name: "io.k8s.api.flowcontrol.v1.LimitResponse", atomic: false,
    fields: &[
    F { name: "queuing", shape: Object(&FLOWCONTROL_V1_QUEUING_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_LIMITED_PRIORITY_LEVEL_CONFIGURATION: S = S {
    name: "io.k8s.api.flowcontrol.v1.LimitedPriorityLevelConfiguration", atomic: false,
    fields: &[
    F { name: "borrowingLimitPercent", shape: Int32, flags: 0, merge_key: "" },
    F { name: "lendablePercent", shape: Int32, flags: 0, merge_key: "" },
    F { name: "limitResponse", shape: Object(&FLOWCONTROL_V1_LIMIT_RESPONSE), flags: REQUIRED, merge_key: "" },
    F { name: "nominalConcurrencyShares", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_NON_RESOURCE_POLICY_RULE: S = S {
    name: "io.k8s.api.flowcontrol.v1.NonResourcePolicyRule", atomic: false,
    fields: &[
    F { name: "nonResourceURLs", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    F { name: "verbs", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_POLICY_RULES_WITH_SUBJECTS: S = S {
    name: "io.k8s.api.flowcontrol.v1.PolicyRulesWithSubjects", atomic: false,
    fields: &[
    F { name: "nonResourceRules", shape: List(&L { items: Object(&FLOWCONTROL_V1_NON_RESOURCE_POLICY_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resourceRules", shape: List(&L { items: Object(&FLOWCONTROL_V1_RESOURCE_POLICY_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "subjects", shape: List(&L { items: Object(&FLOWCONTROL_V1_SUBJECT), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION: S = S {
    name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_STATUS), flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_CONDITION: S = S {
    name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_LIST: S = S {
    name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_REFERENCE: S = S {
    name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationReference", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_SPEC: S = S {
    name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec", atomic: false,
    fields: &[
    F { name: "exempt", shape: Object(&FLOWCONTROL_V1_EXEMPT_PRIORITY_LEVEL_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "limited", shape: Object(&FLOWCONTROL_V1_LIMITED_PRIORITY_LEVEL_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_STATUS: S = S {
    name: "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    ],
};

static FLOWCONTROL_V1_QUEUING_CONFIGURATION: S = S {
    name: "io.k8s.api.flowcontrol.v1.QueuingConfiguration", atomic: false,
    fields: &[
    F { name: "handSize", shape: Int32, flags: 0, merge_key: "" },
    F { name: "queueLengthLimit", shape: Int32, flags: 0, merge_key: "" },
    F { name: "queues", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_RESOURCE_POLICY_RULE: S = S {
    name: "io.k8s.api.flowcontrol.v1.ResourcePolicyRule", atomic: false,
    fields: &[
    F { name: "apiGroups", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    F { name: "clusterScope", shape: Bool, flags: 0, merge_key: "" },
    F { name: "namespaces", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    F { name: "resources", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    F { name: "verbs", shape: List(&L { items: String, kind: Set }), flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_SERVICE_ACCOUNT_SUBJECT: S = S {
    name: "io.k8s.api.flowcontrol.v1.ServiceAccountSubject", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_SUBJECT: S = S {
    name: "io.k8s.api.flowcontrol.v1.Subject", atomic: false,
    fields: &[
    F { name: "group", shape: Object(&FLOWCONTROL_V1_GROUP_SUBJECT), flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "serviceAccount", shape: Object(&FLOWCONTROL_V1_SERVICE_ACCOUNT_SUBJECT), flags: 0, merge_key: "" },
    F { name: "user", shape: Object(&FLOWCONTROL_V1_USER_SUBJECT), flags: 0, merge_key: "" },
    ],
};

static FLOWCONTROL_V1_USER_SUBJECT: S = S {
    name: "io.k8s.api.flowcontrol.v1.UserSubject", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_HTTP_INGRESS_PATH: S = S {
    name: "io.k8s.api.networking.v1.HTTPIngressPath", atomic: false,
    fields: &[
    F { name: "backend", shape: Object(&NETWORKING_V1_INGRESS_BACKEND), flags: REQUIRED, merge_key: "" },
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "pathType", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_HTTP_INGRESS_RULE_VALUE: S = S {
    name: "io.k8s.api.networking.v1.HTTPIngressRuleValue", atomic: false,
    fields: &[
    F { name: "paths", shape: List(&L { items: Object(&NETWORKING_V1_HTTP_INGRESS_PATH), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_IP_ADDRESS: S = S {
    name: "io.k8s.api.networking.v1.IPAddress", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&NETWORKING_V1_IP_ADDRESS_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_IP_ADDRESS_LIST: S = S {
    name: "io.k8s.api.networking.v1.IPAddressList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&NETWORKING_V1_IP_ADDRESS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_IP_ADDRESS_SPEC: S = S {
    name: "io.k8s.api.networking.v1.IPAddressSpec", atomic: false,
    fields: &[
    F { name: "parentRef", shape: Object(&NETWORKING_V1_PARENT_REFERENCE), flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_IP_BLOCK: S = S {
    name: "io.k8s.api.networking.v1.IPBlock", atomic: false,
    fields: &[
    F { name: "cidr", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "except", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS: S = S {
    name: "io.k8s.api.networking.v1.Ingress", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&NETWORKING_V1_INGRESS_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&NETWORKING_V1_INGRESS_STATUS), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_BACKEND: S = S {
    name: "io.k8s.api.networking.v1.IngressBackend", atomic: false,
    fields: &[
    F { name: "resource", shape: Object(&CORE_V1_TYPED_LOCAL_OBJECT_REFERENCE), flags: 0, merge_key: "" },
    F { name: "service", shape: Object(&NETWORKING_V1_INGRESS_SERVICE_BACKEND), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_CLASS: S = S {
    name: "io.k8s.api.networking.v1.IngressClass", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&NETWORKING_V1_INGRESS_CLASS_SPEC), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_CLASS_LIST: S = S {
    name: "io.k8s.api.networking.v1.IngressClassList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&NETWORKING_V1_INGRESS_CLASS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_CLASS_PARAMETERS_REFERENCE: S = S {
    name: "io.k8s.api.networking.v1.IngressClassParametersReference", atomic: false,
    fields: &[
    F { name: "apiGroup", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "scope", shape: String, flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_CLASS_SPEC: S = S {
    name: "io.k8s.api.networking.v1.IngressClassSpec", atomic: false,
    fields: &[
    F { name: "controller", shape: String, flags: 0, merge_key: "" },
    F { name: "parameters", shape: Object(&NETWORKING_V1_INGRESS_CLASS_PARAMETERS_REFERENCE), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_LIST: S = S {
    name: "io.k8s.api.networking.v1.IngressList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&NETWORKING_V1_INGRESS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_LOAD_BALANCER_INGRESS: S = S {
    name: "io.k8s.api.networking.v1.IngressLoadBalancerIngress", atomic: false,
    fields: &[
    F { name: "hostname", shape: String, flags: 0, merge_key: "" },
    F { name: "ip", shape: String, flags: 0, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&NETWORKING_V1_INGRESS_PORT_STATUS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_LOAD_BALANCER_STATUS: S = S {
    name: "io.k8s.api.networking.v1.IngressLoadBalancerStatus", atomic: false,
    fields: &[
    F { name: "ingress", shape: List(&L { items: Object(&NETWORKING_V1_INGRESS_LOAD_BALANCER_INGRESS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_PORT_STATUS: S = S {
    name: "io.k8s.api.networking.v1.IngressPortStatus", atomic: false,
    fields: &[
    F { name: "error", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "protocol", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_RULE: S = S {
    name: "io.k8s.api.networking.v1.IngressRule", atomic: false,
    fields: &[
    F { name: "host", shape: String, flags: 0, merge_key: "" },
    F { name: "http", shape: Object(&NETWORKING_V1_HTTP_INGRESS_RULE_VALUE), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_SERVICE_BACKEND: S = S {
    name: "io.k8s.api.networking.v1.IngressServiceBackend", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "port", shape: Object(&NETWORKING_V1_SERVICE_BACKEND_PORT), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_SPEC: S = S {
    name: "io.k8s.api.networking.v1.IngressSpec", atomic: false,
    fields: &[
    F { name: "defaultBackend", shape: Object(&NETWORKING_V1_INGRESS_BACKEND), flags: 0, merge_key: "" },
    F { name: "ingressClassName", shape: String, flags: 0, merge_key: "" },
    F { name: "rules", shape: List(&L { items: Object(&NETWORKING_V1_INGRESS_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "tls", shape: List(&L { items: Object(&NETWORKING_V1_INGRESS_TLS), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_STATUS: S = S {
    name: "io.k8s.api.networking.v1.IngressStatus", atomic: false,
    fields: &[
    F { name: "loadBalancer", shape: Object(&NETWORKING_V1_INGRESS_LOAD_BALANCER_STATUS), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_INGRESS_TLS: S = S {
    name: "io.k8s.api.networking.v1.IngressTLS", atomic: false,
    fields: &[
    F { name: "hosts", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "secretName", shape: String, flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicy", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&NETWORKING_V1_NETWORK_POLICY_SPEC), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY_EGRESS_RULE: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicyEgressRule", atomic: false,
    fields: &[
    F { name: "ports", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY_PORT), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "to", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY_PEER), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY_INGRESS_RULE: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicyIngressRule", atomic: false,
    fields: &[
    F { name: "from", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY_PEER), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ports", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY_PORT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY_LIST: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicyList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY_PEER: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicyPeer", atomic: false,
    fields: &[
    F { name: "ipBlock", shape: Object(&NETWORKING_V1_IP_BLOCK), flags: 0, merge_key: "" },
    F { name: "namespaceSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "podSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY_PORT: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicyPort", atomic: false,
    fields: &[
    F { name: "endPort", shape: Int32, flags: 0, merge_key: "" },
    F { name: "port", shape: IntOrString, flags: 0, merge_key: "" },
    F { name: "protocol", shape: String, flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_NETWORK_POLICY_SPEC: S = S {
    name: "io.k8s.api.networking.v1.NetworkPolicySpec", atomic: false,
    fields: &[
    F { name: "egress", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY_EGRESS_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "ingress", shape: List(&L { items: Object(&NETWORKING_V1_NETWORK_POLICY_INGRESS_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "podSelector", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "policyTypes", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_PARENT_REFERENCE: S = S {
    name: "io.k8s.api.networking.v1.ParentReference", atomic: false,
    fields: &[
    F { name: "group", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "resource", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static NETWORKING_V1_SERVICE_BACKEND_PORT: S = S {
    name: "io.k8s.api.networking.v1.ServiceBackendPort", atomic: true,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "number", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_SERVICE_CIDR: S = S {
    name: "io.k8s.api.networking.v1.ServiceCIDR", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&NETWORKING_V1_SERVICE_CIDR_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&NETWORKING_V1_SERVICE_CIDR_STATUS), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_SERVICE_CIDR_LIST: S = S {
    name: "io.k8s.api.networking.v1.ServiceCIDRList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&NETWORKING_V1_SERVICE_CIDR), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_SERVICE_CIDR_SPEC: S = S {
    name: "io.k8s.api.networking.v1.ServiceCIDRSpec", atomic: false,
    fields: &[
    F { name: "cidrs", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static NETWORKING_V1_SERVICE_CIDR_STATUS: S = S {
    name: "io.k8s.api.networking.v1.ServiceCIDRStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    ],
};

static NODE_V1_OVERHEAD: S = S {
    name: "io.k8s.api.node.v1.Overhead", atomic: false,
    fields: &[
    F { name: "podFixed", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static NODE_V1_RUNTIME_CLASS: S = S {
    name: "io.k8s.api.node.v1.RuntimeClass", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "handler", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "overhead", shape: Object(&NODE_V1_OVERHEAD), flags: 0, merge_key: "" },
    F { name: "scheduling", shape: Object(&NODE_V1_SCHEDULING), flags: 0, merge_key: "" },
    ],
};

static NODE_V1_RUNTIME_CLASS_LIST: S = S {
    name: "io.k8s.api.node.v1.RuntimeClassList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&NODE_V1_RUNTIME_CLASS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static NODE_V1_SCHEDULING: S = S {
    name: "io.k8s.api.node.v1.Scheduling", atomic: false,
    fields: &[
    F { name: "nodeSelector", shape: Map(&M { values: String, atomic: true }), flags: 0, merge_key: "" },
    F { name: "tolerations", shape: List(&L { items: Object(&CORE_V1_TOLERATION), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static POLICY_V1_EVICTION: S = S {
    name: "io.k8s.api.policy.v1.Eviction", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "deleteOptions", shape: Object(&META_V1_DELETE_OPTIONS), flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    ],
};

static POLICY_V1_POD_DISRUPTION_BUDGET: S = S {
    name: "io.k8s.api.policy.v1.PodDisruptionBudget", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&POLICY_V1_POD_DISRUPTION_BUDGET_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&POLICY_V1_POD_DISRUPTION_BUDGET_STATUS), flags: 0, merge_key: "" },
    ],
};

static POLICY_V1_POD_DISRUPTION_BUDGET_LIST: S = S {
    name: "io.k8s.api.policy.v1.PodDisruptionBudgetList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&POLICY_V1_POD_DISRUPTION_BUDGET), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static POLICY_V1_POD_DISRUPTION_BUDGET_SPEC: S = S {
    name: "io.k8s.api.policy.v1.PodDisruptionBudgetSpec", atomic: false,
    fields: &[
    F { name: "maxUnavailable", shape: IntOrString, flags: 0, merge_key: "" },
    F { name: "minAvailable", shape: IntOrString, flags: 0, merge_key: "" },
    F { name: "selector", shape: Object(&META_V1_LABEL_SELECTOR), flags: REPLACE, merge_key: "" },
    F { name: "unhealthyPodEvictionPolicy", shape: String, flags: 0, merge_key: "" },
    ],
};

static POLICY_V1_POD_DISRUPTION_BUDGET_STATUS: S = S {
    name: "io.k8s.api.policy.v1.PodDisruptionBudgetStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "currentHealthy", shape: Int32, flags: 0, merge_key: "" },
    F { name: "desiredHealthy", shape: Int32, flags: 0, merge_key: "" },
    F { name: "disruptedPods", shape: Map(&M { values: Time, atomic: false }), flags: 0, merge_key: "" },
    F { name: "disruptionsAllowed", shape: Int32, flags: 0, merge_key: "" },
    F { name: "expectedPods", shape: Int32, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_AGGREGATION_RULE: S = S {
    name: "io.k8s.api.rbac.v1.AggregationRule", atomic: false,
    fields: &[
    F { name: "clusterRoleSelectors", shape: List(&L { items: Object(&META_V1_LABEL_SELECTOR), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_CLUSTER_ROLE: S = S {
    name: "io.k8s.api.rbac.v1.ClusterRole", atomic: false,
    fields: &[
    F { name: "aggregationRule", shape: Object(&RBAC_V1_AGGREGATION_RULE), flags: 0, merge_key: "" },
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "rules", shape: List(&L { items: Object(&RBAC_V1_POLICY_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_CLUSTER_ROLE_BINDING: S = S {
    name: "io.k8s.api.rbac.v1.ClusterRoleBinding", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "roleRef", shape: Object(&RBAC_V1_ROLE_REF), flags: REQUIRED, merge_key: "" },
    F { name: "subjects", shape: List(&L { items: Object(&RBAC_V1_SUBJECT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_CLUSTER_ROLE_BINDING_LIST: S = S {
    name: "io.k8s.api.rbac.v1.ClusterRoleBindingList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RBAC_V1_CLUSTER_ROLE_BINDING), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_CLUSTER_ROLE_LIST: S = S {
    name: "io.k8s.api.rbac.v1.ClusterRoleList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RBAC_V1_CLUSTER_ROLE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_POLICY_RULE: S = S {
    name: "io.k8s.api.rbac.v1.PolicyRule", atomic: false,
    fields: &[
    F { name: "apiGroups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "nonResourceURLs", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resourceNames", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "resources", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "verbs", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static RBAC_V1_ROLE: S = S {
    name: "io.k8s.api.rbac.v1.Role", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "rules", shape: List(&L { items: Object(&RBAC_V1_POLICY_RULE), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_ROLE_BINDING: S = S {
    name: "io.k8s.api.rbac.v1.RoleBinding", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "roleRef", shape: Object(&RBAC_V1_ROLE_REF), flags: REQUIRED, merge_key: "" },
    F { name: "subjects", shape: List(&L { items: Object(&RBAC_V1_SUBJECT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_ROLE_BINDING_LIST: S = S {
    name: "io.k8s.api.rbac.v1.RoleBindingList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RBAC_V1_ROLE_BINDING), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_ROLE_LIST: S = S {
    name: "io.k8s.api.rbac.v1.RoleList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RBAC_V1_ROLE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RBAC_V1_ROLE_REF: S = S {
    name: "io.k8s.api.rbac.v1.RoleRef", atomic: true,
    fields: &[
    F { name: "apiGroup", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RBAC_V1_SUBJECT: S = S {
    name: "io.k8s.api.rbac.v1.Subject", atomic: true,
    fields: &[
    F { name: "apiGroup", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_ALLOCATED_DEVICE_STATUS: S = S {
    name: "io.k8s.api.resource.v1.AllocatedDeviceStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: 0, merge_key: "" },
    F { name: "data", shape: Any("io.k8s.apimachinery.pkg.runtime.RawExtension"), flags: 0, merge_key: "" },
    F { name: "device", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "networkData", shape: Object(&RESOURCE_V1_NETWORK_DEVICE_DATA), flags: 0, merge_key: "" },
    F { name: "pool", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "shareID", shape: String, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_ALLOCATION_RESULT: S = S {
    name: "io.k8s.api.resource.v1.AllocationResult", atomic: false,
    fields: &[
    F { name: "allocationTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "devices", shape: Object(&RESOURCE_V1_DEVICE_ALLOCATION_RESULT), flags: 0, merge_key: "" },
    F { name: "nodeSelector", shape: Object(&CORE_V1_NODE_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_CEL_DEVICE_SELECTOR: S = S {
    name: "io.k8s.api.resource.v1.CELDeviceSelector", atomic: false,
    fields: &[
    F { name: "expression", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_CAPACITY_REQUEST_POLICY: S = S {
    name: "io.k8s.api.resource.v1.CapacityRequestPolicy", atomic: false,
    fields: &[
    F { name: "default", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "validRange", shape: Object(&RESOURCE_V1_CAPACITY_REQUEST_POLICY_RANGE), flags: 0, merge_key: "" },
    F { name: "validValues", shape: List(&L { items: Quantity, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_CAPACITY_REQUEST_POLICY_RANGE: S = S {
    name: "io.k8s.api.resource.v1.CapacityRequestPolicyRange", atomic: false,
    fields: &[
    F { name: "max", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "min", shape: Quantity, flags: REQUIRED, merge_key: "" },
    F { name: "step", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_CAPACITY_REQUIREMENTS: S = S {
    name: "io.k8s.api.resource.v1.CapacityRequirements", atomic: false,
    fields: &[
    F { name: "requests", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_COUNTER: S = S {
    name: "io.k8s.api.resource.v1.Counter", atomic: false,
    fields: &[
    F { name: "value", shape: Quantity, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_COUNTER_SET: S = S {
    name: "io.k8s.api.resource.v1.CounterSet", atomic: false,
    fields: &[
    F { name: "counters", shape: Map(&M { values: Object(&RESOURCE_V1_COUNTER), atomic: false }), flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE: S = S {
    name: "io.k8s.api.resource.v1.Device", atomic: false,
    fields: &[
    F { name: "allNodes", shape: Bool, flags: 0, merge_key: "" },
    F { name: "allowMultipleAllocations", shape: Bool, flags: 0, merge_key: "" },
    F { name: "attributes", shape: Map(&M { values: Object(&RESOURCE_V1_DEVICE_ATTRIBUTE), atomic: false }), flags: 0, merge_key: "" },
    F { name: "bindingConditions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "bindingFailureConditions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "bindsToNode", shape: Bool, flags: 0, merge_key: "" },
    F { name: "capacity", shape: Map(&M { values: Object(&RESOURCE_V1_DEVICE_CAPACITY), atomic: false }), flags: 0, merge_key: "" },
    F { name: "consumesCounters", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_COUNTER_CONSUMPTION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeAllocatableResources", shape: Map(&M { values: Object(&RESOURCE_V1_NODE_ALLOCATABLE_RESOURCE), atomic: false }), flags: 0, merge_key: "" },
    F { name: "nodeName", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeSelector", shape: Object(&CORE_V1_NODE_SELECTOR), flags: 0, merge_key: "" },
    F { name: "taints", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_TAINT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_ALLOCATION_CONFIGURATION: S = S {
    name: "io.k8s.api.resource.v1.DeviceAllocationConfiguration", atomic: false,
    fields: &[
    F { name: "opaque", shape: Object(&RESOURCE_V1_OPAQUE_DEVICE_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "requests", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "source", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_ALLOCATION_RESULT: S = S {
    name: "io.k8s.api.resource.v1.DeviceAllocationResult", atomic: false,
    fields: &[
    F { name: "config", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_ALLOCATION_CONFIGURATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "results", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_REQUEST_ALLOCATION_RESULT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_ATTRIBUTE: S = S {
    name: "io.k8s.api.resource.v1.DeviceAttribute", atomic: false,
    fields: &[
    F { name: "bool", shape: Bool, flags: 0, merge_key: "" },
    F { name: "bools", shape: List(&L { items: Bool, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "int", shape: Int64, flags: 0, merge_key: "" },
    F { name: "ints", shape: List(&L { items: Int64, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "string", shape: String, flags: 0, merge_key: "" },
    F { name: "strings", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "version", shape: String, flags: 0, merge_key: "" },
    F { name: "versions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CAPACITY: S = S {
    name: "io.k8s.api.resource.v1.DeviceCapacity", atomic: false,
    fields: &[
    F { name: "requestPolicy", shape: Object(&RESOURCE_V1_CAPACITY_REQUEST_POLICY), flags: 0, merge_key: "" },
    F { name: "value", shape: Quantity, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CLAIM: S = S {
    name: "io.k8s.api.resource.v1.DeviceClaim", atomic: false,
    fields: &[
    F { name: "config", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_CLAIM_CONFIGURATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "constraints", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_CONSTRAINT), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "requests", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_REQUEST), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CLAIM_CONFIGURATION: S = S {
    name: "io.k8s.api.resource.v1.DeviceClaimConfiguration", atomic: false,
    fields: &[
    F { name: "opaque", shape: Object(&RESOURCE_V1_OPAQUE_DEVICE_CONFIGURATION), flags: 0, merge_key: "" },
    F { name: "requests", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CLASS: S = S {
    name: "io.k8s.api.resource.v1.DeviceClass", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&RESOURCE_V1_DEVICE_CLASS_SPEC), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CLASS_CONFIGURATION: S = S {
    name: "io.k8s.api.resource.v1.DeviceClassConfiguration", atomic: false,
    fields: &[
    F { name: "opaque", shape: Object(&RESOURCE_V1_OPAQUE_DEVICE_CONFIGURATION), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CLASS_LIST: S = S {
    name: "io.k8s.api.resource.v1.DeviceClassList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_CLASS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CLASS_SPEC: S = S {
    name: "io.k8s.api.resource.v1.DeviceClassSpec", atomic: false,
    fields: &[
    F { name: "config", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_CLASS_CONFIGURATION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "extendedResourceName", shape: String, flags: 0, merge_key: "" },
    F { name: "selectors", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_SELECTOR), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_CONSTRAINT: S = S {
    name: "io.k8s.api.resource.v1.DeviceConstraint", atomic: false,
    fields: &[
    F { name: "distinctAttribute", shape: String, flags: 0, merge_key: "" },
    F { name: "matchAttribute", shape: String, flags: 0, merge_key: "" },
    F { name: "requests", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_COUNTER_CONSUMPTION: S = S {
    name: "io.k8s.api.resource.v1.DeviceCounterConsumption", atomic: false,
    fields: &[
    F { name: "compatibilityGroups", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "counterSet", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "counters", shape: Map(&M { values: Object(&RESOURCE_V1_COUNTER), atomic: false }), flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_DERIVED_ATTRIBUTE: S = S {
    name: "io.k8s.api.resource.v1.DeviceDerivedAttribute", atomic: false,
    fields: &[
    F { name: "expression", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_REQUEST: S = S {
    name: "io.k8s.api.resource.v1.DeviceRequest", atomic: false,
    fields: &[
    F { name: "exactly", shape: Object(&RESOURCE_V1_EXACT_DEVICE_REQUEST), flags: 0, merge_key: "" },
    F { name: "firstAvailable", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_SUB_REQUEST), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_REQUEST_ALLOCATION_RESULT: S = S {
    name: "io.k8s.api.resource.v1.DeviceRequestAllocationResult", atomic: false,
    fields: &[
    F { name: "adminAccess", shape: Bool, flags: 0, merge_key: "" },
    F { name: "bindingConditions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "bindingFailureConditions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "consumedCapacity", shape: Map(&M { values: Quantity, atomic: false }), flags: 0, merge_key: "" },
    F { name: "device", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "pool", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "request", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "shareID", shape: String, flags: 0, merge_key: "" },
    F { name: "skipNodeOperations", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    F { name: "tolerations", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_TOLERATION), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_SELECTOR: S = S {
    name: "io.k8s.api.resource.v1.DeviceSelector", atomic: false,
    fields: &[
    F { name: "cel", shape: Object(&RESOURCE_V1_CEL_DEVICE_SELECTOR), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_SUB_REQUEST: S = S {
    name: "io.k8s.api.resource.v1.DeviceSubRequest", atomic: false,
    fields: &[
    F { name: "allocationMode", shape: String, flags: 0, merge_key: "" },
    F { name: "capacity", shape: Object(&RESOURCE_V1_CAPACITY_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "count", shape: Int64, flags: 0, merge_key: "" },
    F { name: "derivedAttributes", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_DERIVED_ATTRIBUTE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "deviceClassName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "selectors", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_SELECTOR), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "tolerations", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_TOLERATION), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_TAINT: S = S {
    name: "io.k8s.api.resource.v1.DeviceTaint", atomic: false,
    fields: &[
    F { name: "effect", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "timeAdded", shape: Time, flags: 0, merge_key: "" },
    F { name: "value", shape: String, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_TAINT_RULE: S = S {
    name: "io.k8s.api.resource.v1.DeviceTaintRule", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&RESOURCE_V1_DEVICE_TAINT_RULE_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&RESOURCE_V1_DEVICE_TAINT_RULE_STATUS), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_TAINT_RULE_LIST: S = S {
    name: "io.k8s.api.resource.v1.DeviceTaintRuleList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_TAINT_RULE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_TAINT_RULE_SPEC: S = S {
    name: "io.k8s.api.resource.v1.DeviceTaintRuleSpec", atomic: false,
    fields: &[
    F { name: "deviceSelector", shape: Object(&RESOURCE_V1_DEVICE_TAINT_SELECTOR), flags: 0, merge_key: "" },
    F { name: "taint", shape: Object(&RESOURCE_V1_DEVICE_TAINT), flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_TAINT_RULE_STATUS: S = S {
    name: "io.k8s.api.resource.v1.DeviceTaintRuleStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    ],
};

static RESOURCE_V1_DEVICE_TAINT_SELECTOR: S = S {
    name: "io.k8s.api.resource.v1.DeviceTaintSelector", atomic: false,
    fields: &[
    F { name: "device", shape: String, flags: 0, merge_key: "" },
    F { name: "driver", shape: String, flags: 0, merge_key: "" },
    F { name: "pool", shape: String, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_DEVICE_TOLERATION: S = S {
    name: "io.k8s.api.resource.v1.DeviceToleration", atomic: false,
    fields: &[
    F { name: "effect", shape: String, flags: 0, merge_key: "" },
    F { name: "key", shape: String, flags: 0, merge_key: "" },
    F { name: "operator", shape: String, flags: 0, merge_key: "" },
    F { name: "tolerationSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "value", shape: String, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_EXACT_DEVICE_REQUEST: S = S {
    name: "io.k8s.api.resource.v1.ExactDeviceRequest", atomic: false,
    fields: &[
    F { name: "adminAccess", shape: Bool, flags: 0, merge_key: "" },
    F { name: "allocationMode", shape: String, flags: 0, merge_key: "" },
    F { name: "capacity", shape: Object(&RESOURCE_V1_CAPACITY_REQUIREMENTS), flags: 0, merge_key: "" },
    F { name: "count", shape: Int64, flags: 0, merge_key: "" },
    F { name: "derivedAttributes", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_DERIVED_ATTRIBUTE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "deviceClassName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "selectors", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_SELECTOR), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "tolerations", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE_TOLERATION), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_NETWORK_DEVICE_DATA: S = S {
    name: "io.k8s.api.resource.v1.NetworkDeviceData", atomic: false,
    fields: &[
    F { name: "hardwareAddress", shape: String, flags: 0, merge_key: "" },
    F { name: "interfaceName", shape: String, flags: 0, merge_key: "" },
    F { name: "ips", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_NODE_ALLOCATABLE_MAPPING: S = S {
    name: "io.k8s.api.resource.v1.NodeAllocatableMapping", atomic: false,
    fields: &[
    F { name: "capacityKey", shape: String, flags: 0, merge_key: "" },
    F { name: "capacityMultiplier", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "deviceMultiplier", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_NODE_ALLOCATABLE_OVERHEAD: S = S {
    name: "io.k8s.api.resource.v1.NodeAllocatableOverhead", atomic: false,
    fields: &[
    F { name: "perContainer", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "perPod", shape: Quantity, flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_NODE_ALLOCATABLE_RESOURCE: S = S {
    name: "io.k8s.api.resource.v1.NodeAllocatableResource", atomic: false,
    fields: &[
    F { name: "mapping", shape: Object(&RESOURCE_V1_NODE_ALLOCATABLE_MAPPING), flags: 0, merge_key: "" },
    F { name: "overhead", shape: Object(&RESOURCE_V1_NODE_ALLOCATABLE_OVERHEAD), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_OPAQUE_DEVICE_CONFIGURATION: S = S {
    name: "io.k8s.api.resource.v1.OpaqueDeviceConfiguration", atomic: false,
    fields: &[
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "parameters", shape: Any("io.k8s.apimachinery.pkg.runtime.RawExtension"), flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaim", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&RESOURCE_V1_RESOURCE_CLAIM_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&RESOURCE_V1_RESOURCE_CLAIM_STATUS), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_CONSUMER_REFERENCE: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimConsumerReference", atomic: false,
    fields: &[
    F { name: "apiGroup", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resource", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "uid", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_LIST: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RESOURCE_V1_RESOURCE_CLAIM), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_SPEC: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimSpec", atomic: false,
    fields: &[
    F { name: "devices", shape: Object(&RESOURCE_V1_DEVICE_CLAIM), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_STATUS: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimStatus", atomic: false,
    fields: &[
    F { name: "allocation", shape: Object(&RESOURCE_V1_ALLOCATION_RESULT), flags: 0, merge_key: "" },
    F { name: "devices", shape: List(&L { items: Object(&RESOURCE_V1_ALLOCATED_DEVICE_STATUS), kind: Keyed(&[K("device", None), K("driver", None), K("pool", None), K("shareID", None)]) }), flags: 0, merge_key: "" },
    F { name: "reservedFor", shape: List(&L { items: Object(&RESOURCE_V1_RESOURCE_CLAIM_CONSUMER_REFERENCE), kind: Keyed(&[K("uid", None)]) }), flags: MERGE, merge_key: "uid" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimTemplate", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE_SPEC), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE_LIST: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimTemplateList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE_SPEC: S = S {
    name: "io.k8s.api.resource.v1.ResourceClaimTemplateSpec", atomic: false,
    fields: &[
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&RESOURCE_V1_RESOURCE_CLAIM_SPEC), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_POOL: S = S {
    name: "io.k8s.api.resource.v1.ResourcePool", atomic: false,
    fields: &[
    F { name: "generation", shape: Int64, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceSliceCount", shape: Int64, flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_SLICE: S = S {
    name: "io.k8s.api.resource.v1.ResourceSlice", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&RESOURCE_V1_RESOURCE_SLICE_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_SLICE_LIST: S = S {
    name: "io.k8s.api.resource.v1.ResourceSliceList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&RESOURCE_V1_RESOURCE_SLICE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static RESOURCE_V1_RESOURCE_SLICE_SPEC: S = S {
    name: "io.k8s.api.resource.v1.ResourceSliceSpec", atomic: false,
    fields: &[
    F { name: "allNodes", shape: Bool, flags: 0, merge_key: "" },
    F { name: "devices", shape: List(&L { items: Object(&RESOURCE_V1_DEVICE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "driver", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeName", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeSelector", shape: Object(&CORE_V1_NODE_SELECTOR), flags: 0, merge_key: "" },
    F { name: "partitionTypeAttribute", shape: String, flags: 0, merge_key: "" },
    F { name: "perDeviceNodeSelection", shape: Bool, flags: 0, merge_key: "" },
    F { name: "pool", shape: Object(&RESOURCE_V1_RESOURCE_POOL), flags: REQUIRED, merge_key: "" },
    F { name: "sharedCounters", shape: List(&L { items: Object(&RESOURCE_V1_COUNTER_SET), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "skipNodeOperations", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1_PRIORITY_CLASS: S = S {
    name: "io.k8s.api.scheduling.v1.PriorityClass", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "description", shape: String, flags: 0, merge_key: "" },
    F { name: "globalDefault", shape: Bool, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "preemptionPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "value", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1_PRIORITY_CLASS_LIST: S = S {
    name: "io.k8s.api.scheduling.v1.PriorityClassList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&SCHEDULING_V1_PRIORITY_CLASS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_TOPOLOGY_CONSTRAINT: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.TopologyConstraint", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_ALL_DISRUPTION_MODE: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupAllDisruptionMode", atomic: false,
    fields: &[
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_BASIC_SCHEDULING_POLICY: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupBasicSchedulingPolicy", atomic: false,
    fields: &[
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_DISRUPTION_MODE: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupDisruptionMode", atomic: false,
    fields: &[
    F { name: "all", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_ALL_DISRUPTION_MODE), flags: 0, merge_key: "" },
    F { name: "single", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SINGLE_DISRUPTION_MODE), flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_GANG_SCHEDULING_POLICY: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupGangSchedulingPolicy", atomic: false,
    fields: &[
    F { name: "minCount", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_RESOURCE_CLAIM: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupResourceClaim", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resourceClaimName", shape: String, flags: 0, merge_key: "" },
    F { name: "resourceClaimTemplateName", shape: String, flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SCHEDULING_CONSTRAINTS: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupSchedulingConstraints", atomic: false,
    fields: &[
    F { name: "topology", shape: List(&L { items: Object(&SCHEDULING_V1ALPHA3_TOPOLOGY_CONSTRAINT), kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SCHEDULING_POLICY: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupSchedulingPolicy", atomic: false,
    fields: &[
    F { name: "basic", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_BASIC_SCHEDULING_POLICY), flags: 0, merge_key: "" },
    F { name: "gang", shape: Object(&SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_GANG_SCHEDULING_POLICY), flags: 0, merge_key: "" },
    ],
};

static SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SINGLE_DISRUPTION_MODE: S = S {
    name: "io.k8s.api.scheduling.v1alpha3.WorkloadPodGroupSingleDisruptionMode", atomic: false,
    fields: &[
    ],
};

static STORAGE_V1_CSI_DRIVER: S = S {
    name: "io.k8s.api.storage.v1.CSIDriver", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&STORAGE_V1_CSI_DRIVER_SPEC), flags: REQUIRED, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_DRIVER_LIST: S = S {
    name: "io.k8s.api.storage.v1.CSIDriverList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGE_V1_CSI_DRIVER), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_DRIVER_SPEC: S = S {
    name: "io.k8s.api.storage.v1.CSIDriverSpec", atomic: false,
    fields: &[
    F { name: "attachRequired", shape: Bool, flags: 0, merge_key: "" },
    F { name: "fsGroupPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "nodeAllocatableUpdatePeriodSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "podInfoOnMount", shape: Bool, flags: 0, merge_key: "" },
    F { name: "preventPodSchedulingIfMissing", shape: Bool, flags: 0, merge_key: "" },
    F { name: "requiresRepublish", shape: Bool, flags: 0, merge_key: "" },
    F { name: "seLinuxMount", shape: Bool, flags: 0, merge_key: "" },
    F { name: "serviceAccountTokenInSecrets", shape: Bool, flags: 0, merge_key: "" },
    F { name: "storageCapacity", shape: Bool, flags: 0, merge_key: "" },
    F { name: "tokenRequests", shape: List(&L { items: Object(&STORAGE_V1_TOKEN_REQUEST), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "volumeLifecycleModes", shape: List(&L { items: String, kind: Set }), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_NODE: S = S {
    name: "io.k8s.api.storage.v1.CSINode", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&STORAGE_V1_CSI_NODE_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&STORAGE_V1_CSI_NODE_STATUS), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_NODE_DRIVER: S = S {
    name: "io.k8s.api.storage.v1.CSINodeDriver", atomic: false,
    fields: &[
    F { name: "allocatable", shape: Object(&STORAGE_V1_VOLUME_NODE_RESOURCES), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeID", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "topologyKeys", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_NODE_LIST: S = S {
    name: "io.k8s.api.storage.v1.CSINodeList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGE_V1_CSI_NODE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_NODE_SPEC: S = S {
    name: "io.k8s.api.storage.v1.CSINodeSpec", atomic: false,
    fields: &[
    F { name: "drivers", shape: List(&L { items: Object(&STORAGE_V1_CSI_NODE_DRIVER), kind: Keyed(&[K("name", None)]) }), flags: REQUIRED | MERGE, merge_key: "name" },
    ],
};

static STORAGE_V1_CSI_NODE_STATUS: S = S {
    name: "io.k8s.api.storage.v1.CSINodeStatus", atomic: false,
    fields: &[
    F { name: "storageHealth", shape: List(&L { items: Object(&STORAGE_V1_STORAGE_HEALTH), kind: Keyed(&[K("name", None)]) }), flags: MERGE, merge_key: "name" },
    ],
};

static STORAGE_V1_CSI_STORAGE_CAPACITY: S = S {
    name: "io.k8s.api.storage.v1.CSIStorageCapacity", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "capacity", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "maximumVolumeSize", shape: Quantity, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "nodeTopology", shape: Object(&META_V1_LABEL_SELECTOR), flags: 0, merge_key: "" },
    F { name: "storageClassName", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static STORAGE_V1_CSI_STORAGE_CAPACITY_LIST: S = S {
    name: "io.k8s.api.storage.v1.CSIStorageCapacityList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGE_V1_CSI_STORAGE_CAPACITY), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_STORAGE_CLASS: S = S {
    name: "io.k8s.api.storage.v1.StorageClass", atomic: false,
    fields: &[
    F { name: "allowVolumeExpansion", shape: Bool, flags: 0, merge_key: "" },
    F { name: "allowedTopologies", shape: List(&L { items: Object(&CORE_V1_TOPOLOGY_SELECTOR_TERM), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "mountOptions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "parameters", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "provisioner", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "reclaimPolicy", shape: String, flags: 0, merge_key: "" },
    F { name: "volumeBindingMode", shape: String, flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_STORAGE_CLASS_LIST: S = S {
    name: "io.k8s.api.storage.v1.StorageClassList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGE_V1_STORAGE_CLASS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_STORAGE_HEALTH: S = S {
    name: "io.k8s.api.storage.v1.StorageHealth", atomic: false,
    fields: &[
    F { name: "healthConditions", shape: List(&L { items: Object(&STORAGE_V1_STORAGE_HEALTH_CONDITION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static STORAGE_V1_STORAGE_HEALTH_CONDITION: S = S {
    name: "io.k8s.api.storage.v1.StorageHealthCondition", atomic: false,
    fields: &[
    F { name: "accessMode", shape: String, flags: 0, merge_key: "" },
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "volumeMode", shape: String, flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_TOKEN_REQUEST: S = S {
    name: "io.k8s.api.storage.v1.TokenRequest", atomic: false,
    fields: &[
    F { name: "audience", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "expirationSeconds", shape: Int64, flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTACHMENT: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttachment", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&STORAGE_V1_VOLUME_ATTACHMENT_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&STORAGE_V1_VOLUME_ATTACHMENT_STATUS), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTACHMENT_LIST: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttachmentList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGE_V1_VOLUME_ATTACHMENT), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTACHMENT_SOURCE: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttachmentSource", atomic: false,
    fields: &[
    F { name: "inlineVolumeSpec", shape: Object(&CORE_V1_PERSISTENT_VOLUME_SPEC), flags: 0, merge_key: "" },
    F { name: "persistentVolumeName", shape: String, flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTACHMENT_SPEC: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttachmentSpec", atomic: false,
    fields: &[
    F { name: "attacher", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "nodeName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "source", shape: Object(&STORAGE_V1_VOLUME_ATTACHMENT_SOURCE), flags: REQUIRED, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTACHMENT_STATUS: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttachmentStatus", atomic: false,
    fields: &[
    F { name: "attachError", shape: Object(&STORAGE_V1_VOLUME_ERROR), flags: 0, merge_key: "" },
    F { name: "attached", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "attachmentMetadata", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "detachError", shape: Object(&STORAGE_V1_VOLUME_ERROR), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTRIBUTES_CLASS: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttributesClass", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "driverName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "parameters", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ATTRIBUTES_CLASS_LIST: S = S {
    name: "io.k8s.api.storage.v1.VolumeAttributesClassList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGE_V1_VOLUME_ATTRIBUTES_CLASS), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_ERROR: S = S {
    name: "io.k8s.api.storage.v1.VolumeError", atomic: false,
    fields: &[
    F { name: "errorCode", shape: Int32, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "time", shape: Time, flags: 0, merge_key: "" },
    ],
};

static STORAGE_V1_VOLUME_NODE_RESOURCES: S = S {
    name: "io.k8s.api.storage.v1.VolumeNodeResources", atomic: false,
    fields: &[
    F { name: "count", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION: S = S {
    name: "io.k8s.api.storagemigration.v1.StorageVersionMigration", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_STATUS), flags: 0, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_LIST: S = S {
    name: "io.k8s.api.storagemigration.v1.StorageVersionMigrationList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_SPEC: S = S {
    name: "io.k8s.api.storagemigration.v1.StorageVersionMigrationSpec", atomic: false,
    fields: &[
    F { name: "resource", shape: Object(&META_V1_GROUP_RESOURCE), flags: REQUIRED, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_STATUS: S = S {
    name: "io.k8s.api.storagemigration.v1.StorageVersionMigrationStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION: S = S {
    name: "io.k8s.api.storagemigration.v1beta1.StorageVersionMigration", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_STATUS), flags: 0, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_LIST: S = S {
    name: "io.k8s.api.storagemigration.v1beta1.StorageVersionMigrationList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_SPEC: S = S {
    name: "io.k8s.api.storagemigration.v1beta1.StorageVersionMigrationSpec", atomic: false,
    fields: &[
    F { name: "resource", shape: Object(&META_V1_GROUP_RESOURCE), flags: REQUIRED, merge_key: "" },
    ],
};

static STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_STATUS: S = S {
    name: "io.k8s.api.storagemigration.v1beta1.StorageVersionMigrationStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&META_V1_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_COLUMN_DEFINITION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceColumnDefinition", atomic: false,
    fields: &[
    F { name: "description", shape: String, flags: 0, merge_key: "" },
    F { name: "format", shape: String, flags: 0, merge_key: "" },
    F { name: "jsonPath", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "priority", shape: Int32, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_CONVERSION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceConversion", atomic: false,
    fields: &[
    F { name: "strategy", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "webhook", shape: Object(&APIEXTENSIONS_V1_WEBHOOK_CONVERSION), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_SPEC), flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_STATUS), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_CONDITION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_LIST: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_NAMES: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionNames", atomic: false,
    fields: &[
    F { name: "categories", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "listKind", shape: String, flags: 0, merge_key: "" },
    F { name: "plural", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "shortNames", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "singular", shape: String, flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_SPEC: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionSpec", atomic: false,
    fields: &[
    F { name: "conversion", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_CONVERSION), flags: 0, merge_key: "" },
    F { name: "group", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "names", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_NAMES), flags: REQUIRED, merge_key: "" },
    F { name: "preserveUnknownFields", shape: Bool, flags: 0, merge_key: "" },
    F { name: "scope", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "versions", shape: List(&L { items: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_VERSION), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_STATUS: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus", atomic: false,
    fields: &[
    F { name: "acceptedNames", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_NAMES), flags: 0, merge_key: "" },
    F { name: "conditions", shape: List(&L { items: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: 0, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "storedVersions", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_VERSION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion", atomic: false,
    fields: &[
    F { name: "additionalPrinterColumns", shape: List(&L { items: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_COLUMN_DEFINITION), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "deprecated", shape: Bool, flags: 0, merge_key: "" },
    F { name: "deprecationWarning", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "schema", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_VALIDATION), flags: 0, merge_key: "" },
    F { name: "selectableFields", shape: List(&L { items: Object(&APIEXTENSIONS_V1_SELECTABLE_FIELD), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "served", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "storage", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "subresources", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCES), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCE_SCALE: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceScale", atomic: false,
    fields: &[
    F { name: "labelSelectorPath", shape: String, flags: 0, merge_key: "" },
    F { name: "specReplicasPath", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "statusReplicasPath", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCE_STATUS: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceStatus", atomic: false,
    fields: &[
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCES: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresources", atomic: false,
    fields: &[
    F { name: "scale", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCE_SCALE), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCE_STATUS), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_CUSTOM_RESOURCE_VALIDATION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceValidation", atomic: false,
    fields: &[
    F { name: "openAPIV3Schema", shape: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_EXTERNAL_DOCUMENTATION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ExternalDocumentation", atomic: false,
    fields: &[
    F { name: "description", shape: String, flags: 0, merge_key: "" },
    F { name: "url", shape: String, flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_JSON_SCHEMA_PROPS: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps", atomic: false,
    fields: &[
    F { name: "$ref", shape: String, flags: 0, merge_key: "" },
    F { name: "$schema", shape: String, flags: 0, merge_key: "" },
    F { name: "additionalItems", shape: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool"), flags: 0, merge_key: "" },
    F { name: "additionalProperties", shape: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool"), flags: 0, merge_key: "" },
    F { name: "allOf", shape: List(&L { items: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "anyOf", shape: List(&L { items: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "default", shape: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"), flags: 0, merge_key: "" },
    F { name: "definitions", shape: Map(&M { values: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), atomic: false }), flags: 0, merge_key: "" },
    F { name: "dependencies", shape: Map(&M { values: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray"), atomic: false }), flags: 0, merge_key: "" },
    F { name: "description", shape: String, flags: 0, merge_key: "" },
    F { name: "enum", shape: List(&L { items: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "example", shape: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"), flags: 0, merge_key: "" },
    F { name: "exclusiveMaximum", shape: Bool, flags: 0, merge_key: "" },
    F { name: "exclusiveMinimum", shape: Bool, flags: 0, merge_key: "" },
    F { name: "externalDocs", shape: Object(&APIEXTENSIONS_V1_EXTERNAL_DOCUMENTATION), flags: 0, merge_key: "" },
    F { name: "format", shape: String, flags: 0, merge_key: "" },
    F { name: "id", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: Any("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray"), flags: 0, merge_key: "" },
    F { name: "maxItems", shape: Int64, flags: 0, merge_key: "" },
    F { name: "maxLength", shape: Int64, flags: 0, merge_key: "" },
    F { name: "maxProperties", shape: Int64, flags: 0, merge_key: "" },
    F { name: "maximum", shape: Number, flags: 0, merge_key: "" },
    F { name: "minItems", shape: Int64, flags: 0, merge_key: "" },
    F { name: "minLength", shape: Int64, flags: 0, merge_key: "" },
    F { name: "minProperties", shape: Int64, flags: 0, merge_key: "" },
    F { name: "minimum", shape: Number, flags: 0, merge_key: "" },
    F { name: "multipleOf", shape: Number, flags: 0, merge_key: "" },
    F { name: "not", shape: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), flags: 0, merge_key: "" },
    F { name: "nullable", shape: Bool, flags: 0, merge_key: "" },
    F { name: "oneOf", shape: List(&L { items: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "pattern", shape: String, flags: 0, merge_key: "" },
    F { name: "patternProperties", shape: Map(&M { values: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), atomic: false }), flags: 0, merge_key: "" },
    F { name: "properties", shape: Map(&M { values: Object(&APIEXTENSIONS_V1_JSON_SCHEMA_PROPS), atomic: false }), flags: 0, merge_key: "" },
    F { name: "required", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "title", shape: String, flags: 0, merge_key: "" },
    F { name: "type", shape: String, flags: 0, merge_key: "" },
    F { name: "uniqueItems", shape: Bool, flags: 0, merge_key: "" },
    F { name: "x-kubernetes-embedded-resource", shape: Bool, flags: 0, merge_key: "" },
    F { name: "x-kubernetes-int-or-string", shape: Bool, flags: 0, merge_key: "" },
    F { name: "x-kubernetes-list-map-keys", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "x-kubernetes-list-type", shape: String, flags: 0, merge_key: "" },
    F { name: "x-kubernetes-map-type", shape: String, flags: 0, merge_key: "" },
    F { name: "x-kubernetes-preserve-unknown-fields", shape: Bool, flags: 0, merge_key: "" },
    F { name: "x-kubernetes-validations", shape: List(&L { items: Object(&APIEXTENSIONS_V1_VALIDATION_RULE), kind: Keyed(&[K("rule", None)]) }), flags: MERGE, merge_key: "rule" },
    ],
};

static APIEXTENSIONS_V1_SELECTABLE_FIELD: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.SelectableField", atomic: false,
    fields: &[
    F { name: "jsonPath", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_SERVICE_REFERENCE: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ServiceReference", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespace", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "path", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_VALIDATION_RULE: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ValidationRule", atomic: false,
    fields: &[
    F { name: "fieldPath", shape: String, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "messageExpression", shape: String, flags: 0, merge_key: "" },
    F { name: "optionalOldSelf", shape: Bool, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "rule", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_WEBHOOK_CLIENT_CONFIG: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig", atomic: false,
    fields: &[
    F { name: "caBundle", shape: Bytes, flags: 0, merge_key: "" },
    F { name: "service", shape: Object(&APIEXTENSIONS_V1_SERVICE_REFERENCE), flags: 0, merge_key: "" },
    F { name: "url", shape: String, flags: 0, merge_key: "" },
    ],
};

static APIEXTENSIONS_V1_WEBHOOK_CONVERSION: S = S {
    name: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.WebhookConversion", atomic: false,
    fields: &[
    F { name: "clientConfig", shape: Object(&APIEXTENSIONS_V1_WEBHOOK_CLIENT_CONFIG), flags: 0, merge_key: "" },
    F { name: "conversionReviewVersions", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_API_GROUP: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "preferredVersion", shape: Object(&META_V1_GROUP_VERSION_FOR_DISCOVERY), flags: 0, merge_key: "" },
    F { name: "serverAddressByClientCIDRs", shape: List(&L { items: Object(&META_V1_SERVER_ADDRESS_BY_CLIENT_CIDR), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "versions", shape: List(&L { items: Object(&META_V1_GROUP_VERSION_FOR_DISCOVERY), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_API_GROUP_LIST: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "groups", shape: List(&L { items: Object(&META_V1_API_GROUP), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_API_RESOURCE: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIResource", atomic: false,
    fields: &[
    F { name: "categories", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "group", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "namespaced", shape: Bool, flags: REQUIRED, merge_key: "" },
    F { name: "shortNames", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "singularName", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "storageVersionHash", shape: String, flags: 0, merge_key: "" },
    F { name: "verbs", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "version", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_API_RESOURCE_LIST: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "groupVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "resources", shape: List(&L { items: Object(&META_V1_API_RESOURCE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_API_VERSIONS: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "serverAddressByClientCIDRs", shape: List(&L { items: Object(&META_V1_SERVER_ADDRESS_BY_CLIENT_CIDR), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "versions", shape: List(&L { items: String, kind: Atomic }), flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_CONDITION: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.Condition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: REQUIRED, merge_key: "" },
    F { name: "message", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "observedGeneration", shape: Int64, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_DELETE_OPTIONS: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "dryRun", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "gracePeriodSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "ignoreStoreReadErrorWithClusterBreakingPotential", shape: Bool, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "orphanDependents", shape: Bool, flags: 0, merge_key: "" },
    F { name: "preconditions", shape: Object(&META_V1_PRECONDITIONS), flags: 0, merge_key: "" },
    F { name: "propagationPolicy", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_FIELD_SELECTOR_REQUIREMENT: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldSelectorRequirement", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "operator", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static META_V1_GROUP_RESOURCE: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.GroupResource", atomic: false,
    fields: &[
    F { name: "group", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "resource", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_GROUP_VERSION_FOR_DISCOVERY: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery", atomic: false,
    fields: &[
    F { name: "groupVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "version", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_LABEL_SELECTOR: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", atomic: true,
    fields: &[
    F { name: "matchExpressions", shape: List(&L { items: Object(&META_V1_LABEL_SELECTOR_REQUIREMENT), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "matchLabels", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    ],
};

static META_V1_LABEL_SELECTOR_REQUIREMENT: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement", atomic: false,
    fields: &[
    F { name: "key", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "operator", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "values", shape: List(&L { items: String, kind: Atomic }), flags: 0, merge_key: "" },
    ],
};

static META_V1_LIST_META: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta", atomic: false,
    fields: &[
    F { name: "continue", shape: String, flags: 0, merge_key: "" },
    F { name: "remainingItemCount", shape: Int64, flags: 0, merge_key: "" },
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "selfLink", shape: String, flags: 0, merge_key: "" },
    F { name: "shardInfo", shape: Object(&META_V1_SHARD_INFO), flags: 0, merge_key: "" },
    ],
};

static META_V1_MANAGED_FIELDS_ENTRY: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "fieldsType", shape: String, flags: 0, merge_key: "" },
    F { name: "fieldsV1", shape: Any("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1"), flags: 0, merge_key: "" },
    F { name: "manager", shape: String, flags: 0, merge_key: "" },
    F { name: "operation", shape: String, flags: 0, merge_key: "" },
    F { name: "subresource", shape: String, flags: 0, merge_key: "" },
    F { name: "time", shape: Time, flags: 0, merge_key: "" },
    ],
};

static META_V1_OBJECT_META: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", atomic: false,
    fields: &[
    F { name: "annotations", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "creationTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "deletionGracePeriodSeconds", shape: Int64, flags: 0, merge_key: "" },
    F { name: "deletionTimestamp", shape: Time, flags: 0, merge_key: "" },
    F { name: "finalizers", shape: List(&L { items: String, kind: Set }), flags: MERGE, merge_key: "" },
    F { name: "generateName", shape: String, flags: 0, merge_key: "" },
    F { name: "generation", shape: Int64, flags: 0, merge_key: "" },
    F { name: "labels", shape: Map(&M { values: String, atomic: false }), flags: 0, merge_key: "" },
    F { name: "managedFields", shape: List(&L { items: Object(&META_V1_MANAGED_FIELDS_ENTRY), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "ownerReferences", shape: List(&L { items: Object(&META_V1_OWNER_REFERENCE), kind: Keyed(&[K("uid", None)]) }), flags: MERGE, merge_key: "uid" },
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "selfLink", shape: String, flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_OWNER_REFERENCE: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference", atomic: true,
    fields: &[
    F { name: "apiVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "blockOwnerDeletion", shape: Bool, flags: 0, merge_key: "" },
    F { name: "controller", shape: Bool, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "name", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "uid", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_PRECONDITIONS: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions", atomic: false,
    fields: &[
    F { name: "resourceVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_SERVER_ADDRESS_BY_CLIENT_CIDR: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.ServerAddressByClientCIDR", atomic: false,
    fields: &[
    F { name: "clientCIDR", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "serverAddress", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_SHARD_INFO: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.ShardInfo", atomic: false,
    fields: &[
    F { name: "selector", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static META_V1_STATUS: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.Status", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "code", shape: Int32, flags: 0, merge_key: "" },
    F { name: "details", shape: Object(&META_V1_STATUS_DETAILS), flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_STATUS_CAUSE: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.StatusCause", atomic: false,
    fields: &[
    F { name: "field", shape: String, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_STATUS_DETAILS: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.StatusDetails", atomic: false,
    fields: &[
    F { name: "causes", shape: List(&L { items: Object(&META_V1_STATUS_CAUSE), kind: Atomic }), flags: 0, merge_key: "" },
    F { name: "group", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "retryAfterSeconds", shape: Int32, flags: 0, merge_key: "" },
    F { name: "uid", shape: String, flags: 0, merge_key: "" },
    ],
};

static META_V1_WATCH_EVENT: S = S {
    name: "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent", atomic: false,
    fields: &[
    F { name: "object", shape: Any("io.k8s.apimachinery.pkg.runtime.RawExtension"), flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static VERSION_INFO: S = S {
    name: "io.k8s.apimachinery.pkg.version.Info", atomic: false,
    fields: &[
    F { name: "buildDate", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "compiler", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "emulationMajor", shape: String, flags: 0, merge_key: "" },
    F { name: "emulationMinor", shape: String, flags: 0, merge_key: "" },
    F { name: "gitCommit", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "gitTreeState", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "gitVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "goVersion", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "major", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "minCompatibilityMajor", shape: String, flags: 0, merge_key: "" },
    F { name: "minCompatibilityMinor", shape: String, flags: 0, merge_key: "" },
    F { name: "minor", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "platform", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIREGISTRATION_V1_API_SERVICE: S = S {
    name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_OBJECT_META), flags: 0, merge_key: "" },
    F { name: "spec", shape: Object(&APIREGISTRATION_V1_API_SERVICE_SPEC), flags: 0, merge_key: "" },
    F { name: "status", shape: Object(&APIREGISTRATION_V1_API_SERVICE_STATUS), flags: 0, merge_key: "" },
    ],
};

static APIREGISTRATION_V1_API_SERVICE_CONDITION: S = S {
    name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceCondition", atomic: false,
    fields: &[
    F { name: "lastTransitionTime", shape: Time, flags: 0, merge_key: "" },
    F { name: "message", shape: String, flags: 0, merge_key: "" },
    F { name: "reason", shape: String, flags: 0, merge_key: "" },
    F { name: "status", shape: String, flags: REQUIRED, merge_key: "" },
    F { name: "type", shape: String, flags: REQUIRED, merge_key: "" },
    ],
};

static APIREGISTRATION_V1_API_SERVICE_LIST: S = S {
    name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceList", atomic: false,
    fields: &[
    F { name: "apiVersion", shape: String, flags: 0, merge_key: "" },
    F { name: "items", shape: List(&L { items: Object(&APIREGISTRATION_V1_API_SERVICE), kind: Atomic }), flags: REQUIRED, merge_key: "" },
    F { name: "kind", shape: String, flags: 0, merge_key: "" },
    F { name: "metadata", shape: Object(&META_V1_LIST_META), flags: 0, merge_key: "" },
    ],
};

static APIREGISTRATION_V1_API_SERVICE_SPEC: S = S {
    name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec", atomic: false,
    fields: &[
    F { name: "caBundle", shape: Bytes, flags: 0, merge_key: "" },
    F { name: "group", shape: String, flags: 0, merge_key: "" },
    F { name: "groupPriorityMinimum", shape: Int32, flags: REQUIRED, merge_key: "" },
    F { name: "insecureSkipTLSVerify", shape: Bool, flags: 0, merge_key: "" },
    F { name: "service", shape: Object(&APIREGISTRATION_V1_SERVICE_REFERENCE), flags: 0, merge_key: "" },
    F { name: "version", shape: String, flags: 0, merge_key: "" },
    F { name: "versionPriority", shape: Int32, flags: REQUIRED, merge_key: "" },
    ],
};

static APIREGISTRATION_V1_API_SERVICE_STATUS: S = S {
    name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceStatus", atomic: false,
    fields: &[
    F { name: "conditions", shape: List(&L { items: Object(&APIREGISTRATION_V1_API_SERVICE_CONDITION), kind: Keyed(&[K("type", None)]) }), flags: MERGE, merge_key: "type" },
    ],
};

static APIREGISTRATION_V1_SERVICE_REFERENCE: S = S {
    name: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference", atomic: false,
    fields: &[
    F { name: "name", shape: String, flags: 0, merge_key: "" },
    F { name: "namespace", shape: String, flags: 0, merge_key: "" },
    F { name: "port", shape: Int32, flags: 0, merge_key: "" },
    ],
};

pub(super) static KINDS: &[(&str, &str, &S)] = &[
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY),
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding", &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING),
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBindingList", &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING_LIST),
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyList", &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_LIST),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", &ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfigurationList", &ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION_LIST),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBindingList", &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING_LIST),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyList", &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_LIST),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", &ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfigurationList", &ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION_LIST),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinitionList", &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_LIST),
    ("apiregistration.k8s.io/v1", "APIService", &APIREGISTRATION_V1_API_SERVICE),
    ("apiregistration.k8s.io/v1", "APIServiceList", &APIREGISTRATION_V1_API_SERVICE_LIST),
    ("apps/v1", "ControllerRevision", &APPS_V1_CONTROLLER_REVISION),
    ("apps/v1", "ControllerRevisionList", &APPS_V1_CONTROLLER_REVISION_LIST),
    ("apps/v1", "DaemonSet", &APPS_V1_DAEMON_SET),
    ("apps/v1", "DaemonSetList", &APPS_V1_DAEMON_SET_LIST),
    ("apps/v1", "Deployment", &APPS_V1_DEPLOYMENT),
    ("apps/v1", "DeploymentList", &APPS_V1_DEPLOYMENT_LIST),
    ("apps/v1", "ReplicaSet", &APPS_V1_REPLICA_SET),
    ("apps/v1", "ReplicaSetList", &APPS_V1_REPLICA_SET_LIST),
    ("apps/v1", "StatefulSet", &APPS_V1_STATEFUL_SET),
    ("apps/v1", "StatefulSetList", &APPS_V1_STATEFUL_SET_LIST),
    ("authentication.k8s.io/v1", "SelfSubjectReview", &AUTHENTICATION_V1_SELF_SUBJECT_REVIEW),
    ("authentication.k8s.io/v1", "TokenRequest", &AUTHENTICATION_V1_TOKEN_REQUEST),
    ("authentication.k8s.io/v1", "TokenReview", &AUTHENTICATION_V1_TOKEN_REVIEW),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview", &AUTHORIZATION_V1_LOCAL_SUBJECT_ACCESS_REVIEW),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", &AUTHORIZATION_V1_SELF_SUBJECT_ACCESS_REVIEW),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", &AUTHORIZATION_V1_SELF_SUBJECT_RULES_REVIEW),
    ("authorization.k8s.io/v1", "SubjectAccessReview", &AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW),
    ("autoscaling/v1", "HorizontalPodAutoscaler", &AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER),
    ("autoscaling/v1", "HorizontalPodAutoscalerList", &AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_LIST),
    ("autoscaling/v1", "Scale", &AUTOSCALING_V1_SCALE),
    ("autoscaling/v2", "HorizontalPodAutoscaler", &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER),
    ("autoscaling/v2", "HorizontalPodAutoscalerList", &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_LIST),
    ("batch/v1", "CronJob", &BATCH_V1_CRON_JOB),
    ("batch/v1", "CronJobList", &BATCH_V1_CRON_JOB_LIST),
    ("batch/v1", "Job", &BATCH_V1_JOB),
    ("batch/v1", "JobList", &BATCH_V1_JOB_LIST),
    ("certificates.k8s.io/v1", "CertificateSigningRequest", &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST),
    ("certificates.k8s.io/v1", "CertificateSigningRequestList", &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_LIST),
    ("certificates.k8s.io/v1", "ClusterTrustBundle", &CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE),
    ("certificates.k8s.io/v1", "ClusterTrustBundleList", &CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE_LIST),
    ("certificates.k8s.io/v1", "PodCertificateRequest", &CERTIFICATES_V1_POD_CERTIFICATE_REQUEST),
    ("certificates.k8s.io/v1", "PodCertificateRequestList", &CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_LIST),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundle", &CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE),
    ("certificates.k8s.io/v1beta1", "ClusterTrustBundleList", &CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE_LIST),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequest", &CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST),
    ("certificates.k8s.io/v1beta1", "PodCertificateRequestList", &CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_LIST),
    ("coordination.k8s.io/v1", "Lease", &COORDINATION_V1_LEASE),
    ("coordination.k8s.io/v1", "LeaseList", &COORDINATION_V1_LEASE_LIST),
    ("coordination.k8s.io/v1beta1", "LeaseCandidate", &COORDINATION_V1BETA1_LEASE_CANDIDATE),
    ("coordination.k8s.io/v1beta1", "LeaseCandidateList", &COORDINATION_V1BETA1_LEASE_CANDIDATE_LIST),
    ("discovery.k8s.io/v1", "EndpointSlice", &DISCOVERY_V1_ENDPOINT_SLICE),
    ("discovery.k8s.io/v1", "EndpointSliceList", &DISCOVERY_V1_ENDPOINT_SLICE_LIST),
    ("events.k8s.io/v1", "Event", &EVENTS_V1_EVENT),
    ("events.k8s.io/v1", "EventList", &EVENTS_V1_EVENT_LIST),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", &FLOWCONTROL_V1_FLOW_SCHEMA),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchemaList", &FLOWCONTROL_V1_FLOW_SCHEMA_LIST),
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION),
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfigurationList", &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_LIST),
    ("networking.k8s.io/v1", "IPAddress", &NETWORKING_V1_IP_ADDRESS),
    ("networking.k8s.io/v1", "IPAddressList", &NETWORKING_V1_IP_ADDRESS_LIST),
    ("networking.k8s.io/v1", "Ingress", &NETWORKING_V1_INGRESS),
    ("networking.k8s.io/v1", "IngressClass", &NETWORKING_V1_INGRESS_CLASS),
    ("networking.k8s.io/v1", "IngressClassList", &NETWORKING_V1_INGRESS_CLASS_LIST),
    ("networking.k8s.io/v1", "IngressList", &NETWORKING_V1_INGRESS_LIST),
    ("networking.k8s.io/v1", "NetworkPolicy", &NETWORKING_V1_NETWORK_POLICY),
    ("networking.k8s.io/v1", "NetworkPolicyList", &NETWORKING_V1_NETWORK_POLICY_LIST),
    ("networking.k8s.io/v1", "ServiceCIDR", &NETWORKING_V1_SERVICE_CIDR),
    ("networking.k8s.io/v1", "ServiceCIDRList", &NETWORKING_V1_SERVICE_CIDR_LIST),
    ("node.k8s.io/v1", "RuntimeClass", &NODE_V1_RUNTIME_CLASS),
    ("node.k8s.io/v1", "RuntimeClassList", &NODE_V1_RUNTIME_CLASS_LIST),
    ("policy/v1", "Eviction", &POLICY_V1_EVICTION),
    ("policy/v1", "PodDisruptionBudget", &POLICY_V1_POD_DISRUPTION_BUDGET),
    ("policy/v1", "PodDisruptionBudgetList", &POLICY_V1_POD_DISRUPTION_BUDGET_LIST),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", &RBAC_V1_CLUSTER_ROLE),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", &RBAC_V1_CLUSTER_ROLE_BINDING),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBindingList", &RBAC_V1_CLUSTER_ROLE_BINDING_LIST),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleList", &RBAC_V1_CLUSTER_ROLE_LIST),
    ("rbac.authorization.k8s.io/v1", "Role", &RBAC_V1_ROLE),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", &RBAC_V1_ROLE_BINDING),
    ("rbac.authorization.k8s.io/v1", "RoleBindingList", &RBAC_V1_ROLE_BINDING_LIST),
    ("rbac.authorization.k8s.io/v1", "RoleList", &RBAC_V1_ROLE_LIST),
    ("resource.k8s.io/v1", "DeviceClass", &RESOURCE_V1_DEVICE_CLASS),
    ("resource.k8s.io/v1", "DeviceClassList", &RESOURCE_V1_DEVICE_CLASS_LIST),
    ("resource.k8s.io/v1", "DeviceTaintRule", &RESOURCE_V1_DEVICE_TAINT_RULE),
    ("resource.k8s.io/v1", "DeviceTaintRuleList", &RESOURCE_V1_DEVICE_TAINT_RULE_LIST),
    ("resource.k8s.io/v1", "ResourceClaim", &RESOURCE_V1_RESOURCE_CLAIM),
    ("resource.k8s.io/v1", "ResourceClaimList", &RESOURCE_V1_RESOURCE_CLAIM_LIST),
    ("resource.k8s.io/v1", "ResourceClaimTemplate", &RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE),
    ("resource.k8s.io/v1", "ResourceClaimTemplateList", &RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE_LIST),
    ("resource.k8s.io/v1", "ResourceSlice", &RESOURCE_V1_RESOURCE_SLICE),
    ("resource.k8s.io/v1", "ResourceSliceList", &RESOURCE_V1_RESOURCE_SLICE_LIST),
    ("scheduling.k8s.io/v1", "PriorityClass", &SCHEDULING_V1_PRIORITY_CLASS),
    ("scheduling.k8s.io/v1", "PriorityClassList", &SCHEDULING_V1_PRIORITY_CLASS_LIST),
    ("storage.k8s.io/v1", "CSIDriver", &STORAGE_V1_CSI_DRIVER),
    ("storage.k8s.io/v1", "CSIDriverList", &STORAGE_V1_CSI_DRIVER_LIST),
    ("storage.k8s.io/v1", "CSINode", &STORAGE_V1_CSI_NODE),
    ("storage.k8s.io/v1", "CSINodeList", &STORAGE_V1_CSI_NODE_LIST),
    ("storage.k8s.io/v1", "CSIStorageCapacity", &STORAGE_V1_CSI_STORAGE_CAPACITY),
    ("storage.k8s.io/v1", "CSIStorageCapacityList", &STORAGE_V1_CSI_STORAGE_CAPACITY_LIST),
    ("storage.k8s.io/v1", "StorageClass", &STORAGE_V1_STORAGE_CLASS),
    ("storage.k8s.io/v1", "StorageClassList", &STORAGE_V1_STORAGE_CLASS_LIST),
    ("storage.k8s.io/v1", "VolumeAttachment", &STORAGE_V1_VOLUME_ATTACHMENT),
    ("storage.k8s.io/v1", "VolumeAttachmentList", &STORAGE_V1_VOLUME_ATTACHMENT_LIST),
    ("storage.k8s.io/v1", "VolumeAttributesClass", &STORAGE_V1_VOLUME_ATTRIBUTES_CLASS),
    ("storage.k8s.io/v1", "VolumeAttributesClassList", &STORAGE_V1_VOLUME_ATTRIBUTES_CLASS_LIST),
    ("storagemigration.k8s.io/v1", "StorageVersionMigration", &STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION),
    ("storagemigration.k8s.io/v1", "StorageVersionMigrationList", &STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_LIST),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigration", &STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION),
    ("storagemigration.k8s.io/v1beta1", "StorageVersionMigrationList", &STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_LIST),
    ("v1", "APIGroup", &META_V1_API_GROUP),
    ("v1", "APIGroupList", &META_V1_API_GROUP_LIST),
    ("v1", "APIResourceList", &META_V1_API_RESOURCE_LIST),
    ("v1", "APIVersions", &META_V1_API_VERSIONS),
    ("v1", "Binding", &CORE_V1_BINDING),
    ("v1", "ComponentStatus", &CORE_V1_COMPONENT_STATUS),
    ("v1", "ComponentStatusList", &CORE_V1_COMPONENT_STATUS_LIST),
    ("v1", "ConfigMap", &CORE_V1_CONFIG_MAP),
    ("v1", "ConfigMapList", &CORE_V1_CONFIG_MAP_LIST),
    ("v1", "DeleteOptions", &META_V1_DELETE_OPTIONS),
    ("v1", "Endpoints", &CORE_V1_ENDPOINTS),
    ("v1", "EndpointsList", &CORE_V1_ENDPOINTS_LIST),
    ("v1", "Event", &CORE_V1_EVENT),
    ("v1", "EventList", &CORE_V1_EVENT_LIST),
    ("v1", "LimitRange", &CORE_V1_LIMIT_RANGE),
    ("v1", "LimitRangeList", &CORE_V1_LIMIT_RANGE_LIST),
    ("v1", "Namespace", &CORE_V1_NAMESPACE),
    ("v1", "NamespaceList", &CORE_V1_NAMESPACE_LIST),
    ("v1", "Node", &CORE_V1_NODE),
    ("v1", "NodeList", &CORE_V1_NODE_LIST),
    ("v1", "PersistentVolume", &CORE_V1_PERSISTENT_VOLUME),
    ("v1", "PersistentVolumeClaim", &CORE_V1_PERSISTENT_VOLUME_CLAIM),
    ("v1", "PersistentVolumeClaimList", &CORE_V1_PERSISTENT_VOLUME_CLAIM_LIST),
    ("v1", "PersistentVolumeList", &CORE_V1_PERSISTENT_VOLUME_LIST),
    ("v1", "Pod", &CORE_V1_POD),
    ("v1", "PodList", &CORE_V1_POD_LIST),
    ("v1", "PodTemplate", &CORE_V1_POD_TEMPLATE),
    ("v1", "PodTemplateList", &CORE_V1_POD_TEMPLATE_LIST),
    ("v1", "ReplicationController", &CORE_V1_REPLICATION_CONTROLLER),
    ("v1", "ReplicationControllerList", &CORE_V1_REPLICATION_CONTROLLER_LIST),
    ("v1", "ResourceQuota", &CORE_V1_RESOURCE_QUOTA),
    ("v1", "ResourceQuotaList", &CORE_V1_RESOURCE_QUOTA_LIST),
    ("v1", "Secret", &CORE_V1_SECRET),
    ("v1", "SecretList", &CORE_V1_SECRET_LIST),
    ("v1", "Service", &CORE_V1_SERVICE),
    ("v1", "ServiceAccount", &CORE_V1_SERVICE_ACCOUNT),
    ("v1", "ServiceAccountList", &CORE_V1_SERVICE_ACCOUNT_LIST),
    ("v1", "ServiceList", &CORE_V1_SERVICE_LIST),
    ("v1", "Status", &META_V1_STATUS),
    ("v1", "WatchEvent", &META_V1_WATCH_EVENT),
];

pub(super) static TYPES: &[&S] = &[
    &ADMISSIONREGISTRATION_V1_APPLY_CONFIGURATION,
    &ADMISSIONREGISTRATION_V1_AUDIT_ANNOTATION,
    &ADMISSIONREGISTRATION_V1_EXPRESSION_WARNING,
    &ADMISSIONREGISTRATION_V1_JSON_PATCH,
    &ADMISSIONREGISTRATION_V1_MATCH_CONDITION,
    &ADMISSIONREGISTRATION_V1_MATCH_RESOURCES,
    &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY,
    &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING,
    &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING_LIST,
    &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_BINDING_SPEC,
    &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_LIST,
    &ADMISSIONREGISTRATION_V1_MUTATING_ADMISSION_POLICY_SPEC,
    &ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK,
    &ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION,
    &ADMISSIONREGISTRATION_V1_MUTATING_WEBHOOK_CONFIGURATION_LIST,
    &ADMISSIONREGISTRATION_V1_MUTATION,
    &ADMISSIONREGISTRATION_V1_NAMED_RULE_WITH_OPERATIONS,
    &ADMISSIONREGISTRATION_V1_PARAM_KIND,
    &ADMISSIONREGISTRATION_V1_PARAM_REF,
    &ADMISSIONREGISTRATION_V1_RULE_WITH_OPERATIONS,
    &ADMISSIONREGISTRATION_V1_SERVICE_REFERENCE,
    &ADMISSIONREGISTRATION_V1_TYPE_CHECKING,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING_LIST,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_BINDING_SPEC,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_LIST,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_SPEC,
    &ADMISSIONREGISTRATION_V1_VALIDATING_ADMISSION_POLICY_STATUS,
    &ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK,
    &ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION,
    &ADMISSIONREGISTRATION_V1_VALIDATING_WEBHOOK_CONFIGURATION_LIST,
    &ADMISSIONREGISTRATION_V1_VALIDATION,
    &ADMISSIONREGISTRATION_V1_VARIABLE,
    &ADMISSIONREGISTRATION_V1_WEBHOOK_CLIENT_CONFIG,
    &APPS_V1_CONTROLLER_REVISION,
    &APPS_V1_CONTROLLER_REVISION_LIST,
    &APPS_V1_DAEMON_SET,
    &APPS_V1_DAEMON_SET_CONDITION,
    &APPS_V1_DAEMON_SET_LIST,
    &APPS_V1_DAEMON_SET_SPEC,
    &APPS_V1_DAEMON_SET_STATUS,
    &APPS_V1_DAEMON_SET_UPDATE_STRATEGY,
    &APPS_V1_DEPLOYMENT,
    &APPS_V1_DEPLOYMENT_CONDITION,
    &APPS_V1_DEPLOYMENT_LIST,
    &APPS_V1_DEPLOYMENT_SPEC,
    &APPS_V1_DEPLOYMENT_STATUS,
    &APPS_V1_DEPLOYMENT_STRATEGY,
    &APPS_V1_REPLICA_SET,
    &APPS_V1_REPLICA_SET_CONDITION,
    &APPS_V1_REPLICA_SET_LIST,
    &APPS_V1_REPLICA_SET_SPEC,
    &APPS_V1_REPLICA_SET_STATUS,
    &APPS_V1_ROLLING_UPDATE_DAEMON_SET,
    &APPS_V1_ROLLING_UPDATE_DEPLOYMENT,
    &APPS_V1_ROLLING_UPDATE_STATEFUL_SET_STRATEGY,
    &APPS_V1_STATEFUL_SET,
    &APPS_V1_STATEFUL_SET_CONDITION,
    &APPS_V1_STATEFUL_SET_LIST,
    &APPS_V1_STATEFUL_SET_ORDINALS,
    &APPS_V1_STATEFUL_SET_PERSISTENT_VOLUME_CLAIM_RETENTION_POLICY,
    &APPS_V1_STATEFUL_SET_SPEC,
    &APPS_V1_STATEFUL_SET_STATUS,
    &APPS_V1_STATEFUL_SET_UPDATE_STRATEGY,
    &AUTHENTICATION_V1_BOUND_OBJECT_REFERENCE,
    &AUTHENTICATION_V1_SELF_SUBJECT_REVIEW,
    &AUTHENTICATION_V1_SELF_SUBJECT_REVIEW_STATUS,
    &AUTHENTICATION_V1_TOKEN_REQUEST,
    &AUTHENTICATION_V1_TOKEN_REQUEST_SPEC,
    &AUTHENTICATION_V1_TOKEN_REQUEST_STATUS,
    &AUTHENTICATION_V1_TOKEN_REVIEW,
    &AUTHENTICATION_V1_TOKEN_REVIEW_SPEC,
    &AUTHENTICATION_V1_TOKEN_REVIEW_STATUS,
    &AUTHENTICATION_V1_USER_INFO,
    &AUTHORIZATION_V1_FIELD_SELECTOR_ATTRIBUTES,
    &AUTHORIZATION_V1_LABEL_SELECTOR_ATTRIBUTES,
    &AUTHORIZATION_V1_LOCAL_SUBJECT_ACCESS_REVIEW,
    &AUTHORIZATION_V1_NON_RESOURCE_ATTRIBUTES,
    &AUTHORIZATION_V1_NON_RESOURCE_RULE,
    &AUTHORIZATION_V1_RESOURCE_ATTRIBUTES,
    &AUTHORIZATION_V1_RESOURCE_RULE,
    &AUTHORIZATION_V1_SELF_SUBJECT_ACCESS_REVIEW,
    &AUTHORIZATION_V1_SELF_SUBJECT_ACCESS_REVIEW_SPEC,
    &AUTHORIZATION_V1_SELF_SUBJECT_RULES_REVIEW,
    &AUTHORIZATION_V1_SELF_SUBJECT_RULES_REVIEW_SPEC,
    &AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW,
    &AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_SPEC,
    &AUTHORIZATION_V1_SUBJECT_ACCESS_REVIEW_STATUS,
    &AUTHORIZATION_V1_SUBJECT_RULES_REVIEW_STATUS,
    &AUTOSCALING_V1_CROSS_VERSION_OBJECT_REFERENCE,
    &AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER,
    &AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_LIST,
    &AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_SPEC,
    &AUTOSCALING_V1_HORIZONTAL_POD_AUTOSCALER_STATUS,
    &AUTOSCALING_V1_SCALE,
    &AUTOSCALING_V1_SCALE_SPEC,
    &AUTOSCALING_V1_SCALE_STATUS,
    &AUTOSCALING_V2_CONTAINER_RESOURCE_METRIC_SOURCE,
    &AUTOSCALING_V2_CONTAINER_RESOURCE_METRIC_STATUS,
    &AUTOSCALING_V2_CROSS_VERSION_OBJECT_REFERENCE,
    &AUTOSCALING_V2_EXTERNAL_METRIC_SOURCE,
    &AUTOSCALING_V2_EXTERNAL_METRIC_STATUS,
    &AUTOSCALING_V2_HPA_SCALING_POLICY,
    &AUTOSCALING_V2_HPA_SCALING_RULES,
    &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER,
    &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_BEHAVIOR,
    &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_CONDITION,
    &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_LIST,
    &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_SPEC,
    &AUTOSCALING_V2_HORIZONTAL_POD_AUTOSCALER_STATUS,
    &AUTOSCALING_V2_METRIC_IDENTIFIER,
    &AUTOSCALING_V2_METRIC_SPEC,
    &AUTOSCALING_V2_METRIC_STATUS,
    &AUTOSCALING_V2_METRIC_TARGET,
    &AUTOSCALING_V2_METRIC_VALUE_STATUS,
    &AUTOSCALING_V2_OBJECT_METRIC_SOURCE,
    &AUTOSCALING_V2_OBJECT_METRIC_STATUS,
    &AUTOSCALING_V2_PODS_METRIC_SOURCE,
    &AUTOSCALING_V2_PODS_METRIC_STATUS,
    &AUTOSCALING_V2_RESOURCE_METRIC_SOURCE,
    &AUTOSCALING_V2_RESOURCE_METRIC_STATUS,
    &BATCH_V1_CRON_JOB,
    &BATCH_V1_CRON_JOB_LIST,
    &BATCH_V1_CRON_JOB_SPEC,
    &BATCH_V1_CRON_JOB_STATUS,
    &BATCH_V1_JOB,
    &BATCH_V1_JOB_CONDITION,
    &BATCH_V1_JOB_LIST,
    &BATCH_V1_JOB_SCHEDULING_CONFIGURATION,
    &BATCH_V1_JOB_SPEC,
    &BATCH_V1_JOB_STATUS,
    &BATCH_V1_JOB_TEMPLATE_SPEC,
    &BATCH_V1_POD_FAILURE_POLICY,
    &BATCH_V1_POD_FAILURE_POLICY_ON_EXIT_CODES_REQUIREMENT,
    &BATCH_V1_POD_FAILURE_POLICY_ON_POD_CONDITIONS_PATTERN,
    &BATCH_V1_POD_FAILURE_POLICY_RULE,
    &BATCH_V1_SUCCESS_POLICY,
    &BATCH_V1_SUCCESS_POLICY_RULE,
    &BATCH_V1_UNCOUNTED_TERMINATED_PODS,
    &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST,
    &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_CONDITION,
    &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_LIST,
    &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_SPEC,
    &CERTIFICATES_V1_CERTIFICATE_SIGNING_REQUEST_STATUS,
    &CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE,
    &CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE_LIST,
    &CERTIFICATES_V1_CLUSTER_TRUST_BUNDLE_SPEC,
    &CERTIFICATES_V1_POD_CERTIFICATE_REQUEST,
    &CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_LIST,
    &CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_SPEC,
    &CERTIFICATES_V1_POD_CERTIFICATE_REQUEST_STATUS,
    &CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE,
    &CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE_LIST,
    &CERTIFICATES_V1BETA1_CLUSTER_TRUST_BUNDLE_SPEC,
    &CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST,
    &CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_LIST,
    &CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_SPEC,
    &CERTIFICATES_V1BETA1_POD_CERTIFICATE_REQUEST_STATUS,
    &COORDINATION_V1_LEASE,
    &COORDINATION_V1_LEASE_LIST,
    &COORDINATION_V1_LEASE_SPEC,
    &COORDINATION_V1BETA1_LEASE_CANDIDATE,
    &COORDINATION_V1BETA1_LEASE_CANDIDATE_LIST,
    &COORDINATION_V1BETA1_LEASE_CANDIDATE_SPEC,
    &CORE_V1_AWS_ELASTIC_BLOCK_STORE_VOLUME_SOURCE,
    &CORE_V1_AFFINITY,
    &CORE_V1_APP_ARMOR_PROFILE,
    &CORE_V1_ATTACHED_VOLUME,
    &CORE_V1_AZURE_DISK_VOLUME_SOURCE,
    &CORE_V1_AZURE_FILE_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_AZURE_FILE_VOLUME_SOURCE,
    &CORE_V1_BINDING,
    &CORE_V1_CSI_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_CSI_VOLUME_SOURCE,
    &CORE_V1_CAPABILITIES,
    &CORE_V1_CEPH_FS_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_CEPH_FS_VOLUME_SOURCE,
    &CORE_V1_CINDER_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_CINDER_VOLUME_SOURCE,
    &CORE_V1_CLIENT_IP_CONFIG,
    &CORE_V1_CLUSTER_TRUST_BUNDLE_PROJECTION,
    &CORE_V1_COMPONENT_CONDITION,
    &CORE_V1_COMPONENT_STATUS,
    &CORE_V1_COMPONENT_STATUS_LIST,
    &CORE_V1_CONFIG_MAP,
    &CORE_V1_CONFIG_MAP_ENV_SOURCE,
    &CORE_V1_CONFIG_MAP_KEY_SELECTOR,
    &CORE_V1_CONFIG_MAP_LIST,
    &CORE_V1_CONFIG_MAP_NODE_CONFIG_SOURCE,
    &CORE_V1_CONFIG_MAP_PROJECTION,
    &CORE_V1_CONFIG_MAP_VOLUME_SOURCE,
    &CORE_V1_CONTAINER,
    &CORE_V1_CONTAINER_EXTENDED_RESOURCE_REQUEST,
    &CORE_V1_CONTAINER_IMAGE,
    &CORE_V1_CONTAINER_PORT,
    &CORE_V1_CONTAINER_RESIZE_POLICY,
    &CORE_V1_CONTAINER_RESTART_RULE,
    &CORE_V1_CONTAINER_RESTART_RULE_ON_EXIT_CODES,
    &CORE_V1_CONTAINER_STATE,
    &CORE_V1_CONTAINER_STATE_RUNNING,
    &CORE_V1_CONTAINER_STATE_TERMINATED,
    &CORE_V1_CONTAINER_STATE_WAITING,
    &CORE_V1_CONTAINER_STATUS,
    &CORE_V1_CONTAINER_USER,
    &CORE_V1_DAEMON_ENDPOINT,
    &CORE_V1_DOWNWARD_API_PROJECTION,
    &CORE_V1_DOWNWARD_API_VOLUME_FILE,
    &CORE_V1_DOWNWARD_API_VOLUME_SOURCE,
    &CORE_V1_EMPTY_DIR_VOLUME_SOURCE,
    &CORE_V1_ENDPOINT_ADDRESS,
    &CORE_V1_ENDPOINT_PORT,
    &CORE_V1_ENDPOINT_SUBSET,
    &CORE_V1_ENDPOINTS,
    &CORE_V1_ENDPOINTS_LIST,
    &CORE_V1_ENV_FROM_SOURCE,
    &CORE_V1_ENV_VAR,
    &CORE_V1_ENV_VAR_SOURCE,
    &CORE_V1_EPHEMERAL_CONTAINER,
    &CORE_V1_EPHEMERAL_VOLUME_SOURCE,
    &CORE_V1_EVENT,
    &CORE_V1_EVENT_LIST,
    &CORE_V1_EVENT_SERIES,
    &CORE_V1_EVENT_SOURCE,
    &CORE_V1_EVICTION_RESPONDER,
    &CORE_V1_EXEC_ACTION,
    &CORE_V1_FC_VOLUME_SOURCE,
    &CORE_V1_FILE_KEY_SELECTOR,
    &CORE_V1_FLEX_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_FLEX_VOLUME_SOURCE,
    &CORE_V1_FLOCKER_VOLUME_SOURCE,
    &CORE_V1_GCE_PERSISTENT_DISK_VOLUME_SOURCE,
    &CORE_V1_GRPC_ACTION,
    &CORE_V1_GIT_REPO_VOLUME_SOURCE,
    &CORE_V1_GLUSTERFS_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_GLUSTERFS_VOLUME_SOURCE,
    &CORE_V1_HTTP_GET_ACTION,
    &CORE_V1_HTTP_HEADER,
    &CORE_V1_HOST_ALIAS,
    &CORE_V1_HOST_IP,
    &CORE_V1_HOST_PATH_VOLUME_SOURCE,
    &CORE_V1_ISCSI_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_ISCSI_VOLUME_SOURCE,
    &CORE_V1_IMAGE_VOLUME_SOURCE,
    &CORE_V1_IMAGE_VOLUME_STATUS,
    &CORE_V1_KEY_TO_PATH,
    &CORE_V1_LIFECYCLE,
    &CORE_V1_LIFECYCLE_HANDLER,
    &CORE_V1_LIMIT_RANGE,
    &CORE_V1_LIMIT_RANGE_ITEM,
    &CORE_V1_LIMIT_RANGE_LIST,
    &CORE_V1_LIMIT_RANGE_SPEC,
    &CORE_V1_LINUX_CONTAINER_USER,
    &CORE_V1_LOAD_BALANCER_INGRESS,
    &CORE_V1_LOAD_BALANCER_STATUS,
    &CORE_V1_LOCAL_OBJECT_REFERENCE,
    &CORE_V1_LOCAL_VOLUME_SOURCE,
    &CORE_V1_MODIFY_VOLUME_STATUS,
    &CORE_V1_NFS_VOLUME_SOURCE,
    &CORE_V1_NAMESPACE,
    &CORE_V1_NAMESPACE_CONDITION,
    &CORE_V1_NAMESPACE_LIST,
    &CORE_V1_NAMESPACE_SPEC,
    &CORE_V1_NAMESPACE_STATUS,
    &CORE_V1_NODE,
    &CORE_V1_NODE_ADDRESS,
    &CORE_V1_NODE_AFFINITY,
    &CORE_V1_NODE_ALLOCATABLE_MAPPED_RESOURCES,
    &CORE_V1_NODE_ALLOCATABLE_OVERHEAD_RESOURCES,
    &CORE_V1_NODE_ALLOCATABLE_RESOURCE_CLAIM_STATUS,
    &CORE_V1_NODE_CONDITION,
    &CORE_V1_NODE_CONFIG_SOURCE,
    &CORE_V1_NODE_CONFIG_STATUS,
    &CORE_V1_NODE_DAEMON_ENDPOINTS,
    &CORE_V1_NODE_FEATURES,
    &CORE_V1_NODE_LIST,
    &CORE_V1_NODE_POD_PREEMPTION_POLICY,
    &CORE_V1_NODE_RUNTIME_HANDLER,
    &CORE_V1_NODE_RUNTIME_HANDLER_FEATURES,
    &CORE_V1_NODE_SELECTOR,
    &CORE_V1_NODE_SELECTOR_REQUIREMENT,
    &CORE_V1_NODE_SELECTOR_TERM,
    &CORE_V1_NODE_SPEC,
    &CORE_V1_NODE_STATUS,
    &CORE_V1_NODE_SWAP_STATUS,
    &CORE_V1_NODE_SYSTEM_INFO,
    &CORE_V1_OBJECT_FIELD_SELECTOR,
    &CORE_V1_OBJECT_REFERENCE,
    &CORE_V1_PERSISTENT_VOLUME,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM_CONDITION,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM_LIST,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM_SPEC,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM_STATUS,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM_TEMPLATE,
    &CORE_V1_PERSISTENT_VOLUME_CLAIM_VOLUME_SOURCE,
    &CORE_V1_PERSISTENT_VOLUME_LIST,
    &CORE_V1_PERSISTENT_VOLUME_SPEC,
    &CORE_V1_PERSISTENT_VOLUME_STATUS,
    &CORE_V1_PHOTON_PERSISTENT_DISK_VOLUME_SOURCE,
    &CORE_V1_POD,
    &CORE_V1_POD_AFFINITY,
    &CORE_V1_POD_AFFINITY_TERM,
    &CORE_V1_POD_ANTI_AFFINITY,
    &CORE_V1_POD_CERTIFICATE_PROJECTION,
    &CORE_V1_POD_CONDITION,
    &CORE_V1_POD_DNS_CONFIG,
    &CORE_V1_POD_DNS_CONFIG_OPTION,
    &CORE_V1_POD_EXTENDED_RESOURCE_CLAIM_STATUS,
    &CORE_V1_POD_IP,
    &CORE_V1_POD_LIST,
    &CORE_V1_POD_OS,
    &CORE_V1_POD_READINESS_GATE,
    &CORE_V1_POD_RESOURCE_CLAIM,
    &CORE_V1_POD_RESOURCE_CLAIM_STATUS,
    &CORE_V1_POD_SCHEDULING_GATE,
    &CORE_V1_POD_SCHEDULING_GROUP,
    &CORE_V1_POD_SECURITY_CONTEXT,
    &CORE_V1_POD_SPEC,
    &CORE_V1_POD_STATUS,
    &CORE_V1_POD_TEMPLATE,
    &CORE_V1_POD_TEMPLATE_LIST,
    &CORE_V1_POD_TEMPLATE_SPEC,
    &CORE_V1_POD_VOLUME_HEALTH,
    &CORE_V1_PORT_STATUS,
    &CORE_V1_PORTWORX_VOLUME_SOURCE,
    &CORE_V1_PREFERRED_SCHEDULING_TERM,
    &CORE_V1_PROBE,
    &CORE_V1_PROJECTED_VOLUME_SOURCE,
    &CORE_V1_QUOBYTE_VOLUME_SOURCE,
    &CORE_V1_RBD_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_RBD_VOLUME_SOURCE,
    &CORE_V1_REPLICATION_CONTROLLER,
    &CORE_V1_REPLICATION_CONTROLLER_CONDITION,
    &CORE_V1_REPLICATION_CONTROLLER_LIST,
    &CORE_V1_REPLICATION_CONTROLLER_SPEC,
    &CORE_V1_REPLICATION_CONTROLLER_STATUS,
    &CORE_V1_RESOURCE_CLAIM,
    &CORE_V1_RESOURCE_FIELD_SELECTOR,
    &CORE_V1_RESOURCE_HEALTH,
    &CORE_V1_RESOURCE_QUOTA,
    &CORE_V1_RESOURCE_QUOTA_LIST,
    &CORE_V1_RESOURCE_QUOTA_SPEC,
    &CORE_V1_RESOURCE_QUOTA_STATUS,
    &CORE_V1_RESOURCE_REQUIREMENTS,
    &CORE_V1_RESOURCE_STATUS,
    &CORE_V1_SE_LINUX_OPTIONS,
    &CORE_V1_SCALE_IO_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_SCALE_IO_VOLUME_SOURCE,
    &CORE_V1_SCOPE_SELECTOR,
    &CORE_V1_SCOPED_RESOURCE_SELECTOR_REQUIREMENT,
    &CORE_V1_SECCOMP_PROFILE,
    &CORE_V1_SECRET,
    &CORE_V1_SECRET_ENV_SOURCE,
    &CORE_V1_SECRET_KEY_SELECTOR,
    &CORE_V1_SECRET_LIST,
    &CORE_V1_SECRET_PROJECTION,
    &CORE_V1_SECRET_REFERENCE,
    &CORE_V1_SECRET_VOLUME_SOURCE,
    &CORE_V1_SECURITY_CONTEXT,
    &CORE_V1_SERVICE,
    &CORE_V1_SERVICE_ACCOUNT,
    &CORE_V1_SERVICE_ACCOUNT_LIST,
    &CORE_V1_SERVICE_ACCOUNT_TOKEN_PROJECTION,
    &CORE_V1_SERVICE_LIST,
    &CORE_V1_SERVICE_PORT,
    &CORE_V1_SERVICE_SPEC,
    &CORE_V1_SERVICE_STATUS,
    &CORE_V1_SESSION_AFFINITY_CONFIG,
    &CORE_V1_SLEEP_ACTION,
    &CORE_V1_STORAGE_OS_PERSISTENT_VOLUME_SOURCE,
    &CORE_V1_STORAGE_OS_VOLUME_SOURCE,
    &CORE_V1_SYSCTL,
    &CORE_V1_TCP_SOCKET_ACTION,
    &CORE_V1_TAINT,
    &CORE_V1_TOLERATION,
    &CORE_V1_TOPOLOGY_SELECTOR_LABEL_REQUIREMENT,
    &CORE_V1_TOPOLOGY_SELECTOR_TERM,
    &CORE_V1_TOPOLOGY_SPREAD_CONSTRAINT,
    &CORE_V1_TYPED_LOCAL_OBJECT_REFERENCE,
    &CORE_V1_TYPED_OBJECT_REFERENCE,
    &CORE_V1_VOLUME,
    &CORE_V1_VOLUME_DEVICE,
    &CORE_V1_VOLUME_HEALTH_CONDITION,
    &CORE_V1_VOLUME_HEALTH_STATUS,
    &CORE_V1_VOLUME_MOUNT,
    &CORE_V1_VOLUME_MOUNT_STATUS,
    &CORE_V1_VOLUME_NODE_AFFINITY,
    &CORE_V1_VOLUME_PROJECTION,
    &CORE_V1_VOLUME_RESOURCE_REQUIREMENTS,
    &CORE_V1_VOLUME_STATUS,
    &CORE_V1_VSPHERE_VIRTUAL_DISK_VOLUME_SOURCE,
    &CORE_V1_WEIGHTED_POD_AFFINITY_TERM,
    &CORE_V1_WINDOWS_SECURITY_CONTEXT_OPTIONS,
    &DISCOVERY_V1_ENDPOINT,
    &DISCOVERY_V1_ENDPOINT_CONDITIONS,
    &DISCOVERY_V1_ENDPOINT_HINTS,
    &DISCOVERY_V1_ENDPOINT_PORT,
    &DISCOVERY_V1_ENDPOINT_SLICE,
    &DISCOVERY_V1_ENDPOINT_SLICE_LIST,
    &DISCOVERY_V1_FOR_NODE,
    &DISCOVERY_V1_FOR_ZONE,
    &EVENTS_V1_EVENT,
    &EVENTS_V1_EVENT_LIST,
    &EVENTS_V1_EVENT_SERIES,
    &FLOWCONTROL_V1_EXEMPT_PRIORITY_LEVEL_CONFIGURATION,
    &FLOWCONTROL_V1_FLOW_DISTINGUISHER_METHOD,
    &FLOWCONTROL_V1_FLOW_SCHEMA,
    &FLOWCONTROL_V1_FLOW_SCHEMA_CONDITION,
    &FLOWCONTROL_V1_FLOW_SCHEMA_LIST,
    &FLOWCONTROL_V1_FLOW_SCHEMA_SPEC,
    &FLOWCONTROL_V1_FLOW_SCHEMA_STATUS,
    &FLOWCONTROL_V1_GROUP_SUBJECT,
    &FLOWCONTROL_V1_LIMIT_RESPONSE,
    &FLOWCONTROL_V1_LIMITED_PRIORITY_LEVEL_CONFIGURATION,
    &FLOWCONTROL_V1_NON_RESOURCE_POLICY_RULE,
    &FLOWCONTROL_V1_POLICY_RULES_WITH_SUBJECTS,
    &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION,
    &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_CONDITION,
    &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_LIST,
    &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_REFERENCE,
    &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_SPEC,
    &FLOWCONTROL_V1_PRIORITY_LEVEL_CONFIGURATION_STATUS,
    &FLOWCONTROL_V1_QUEUING_CONFIGURATION,
    &FLOWCONTROL_V1_RESOURCE_POLICY_RULE,
    &FLOWCONTROL_V1_SERVICE_ACCOUNT_SUBJECT,
    &FLOWCONTROL_V1_SUBJECT,
    &FLOWCONTROL_V1_USER_SUBJECT,
    &NETWORKING_V1_HTTP_INGRESS_PATH,
    &NETWORKING_V1_HTTP_INGRESS_RULE_VALUE,
    &NETWORKING_V1_IP_ADDRESS,
    &NETWORKING_V1_IP_ADDRESS_LIST,
    &NETWORKING_V1_IP_ADDRESS_SPEC,
    &NETWORKING_V1_IP_BLOCK,
    &NETWORKING_V1_INGRESS,
    &NETWORKING_V1_INGRESS_BACKEND,
    &NETWORKING_V1_INGRESS_CLASS,
    &NETWORKING_V1_INGRESS_CLASS_LIST,
    &NETWORKING_V1_INGRESS_CLASS_PARAMETERS_REFERENCE,
    &NETWORKING_V1_INGRESS_CLASS_SPEC,
    &NETWORKING_V1_INGRESS_LIST,
    &NETWORKING_V1_INGRESS_LOAD_BALANCER_INGRESS,
    &NETWORKING_V1_INGRESS_LOAD_BALANCER_STATUS,
    &NETWORKING_V1_INGRESS_PORT_STATUS,
    &NETWORKING_V1_INGRESS_RULE,
    &NETWORKING_V1_INGRESS_SERVICE_BACKEND,
    &NETWORKING_V1_INGRESS_SPEC,
    &NETWORKING_V1_INGRESS_STATUS,
    &NETWORKING_V1_INGRESS_TLS,
    &NETWORKING_V1_NETWORK_POLICY,
    &NETWORKING_V1_NETWORK_POLICY_EGRESS_RULE,
    &NETWORKING_V1_NETWORK_POLICY_INGRESS_RULE,
    &NETWORKING_V1_NETWORK_POLICY_LIST,
    &NETWORKING_V1_NETWORK_POLICY_PEER,
    &NETWORKING_V1_NETWORK_POLICY_PORT,
    &NETWORKING_V1_NETWORK_POLICY_SPEC,
    &NETWORKING_V1_PARENT_REFERENCE,
    &NETWORKING_V1_SERVICE_BACKEND_PORT,
    &NETWORKING_V1_SERVICE_CIDR,
    &NETWORKING_V1_SERVICE_CIDR_LIST,
    &NETWORKING_V1_SERVICE_CIDR_SPEC,
    &NETWORKING_V1_SERVICE_CIDR_STATUS,
    &NODE_V1_OVERHEAD,
    &NODE_V1_RUNTIME_CLASS,
    &NODE_V1_RUNTIME_CLASS_LIST,
    &NODE_V1_SCHEDULING,
    &POLICY_V1_EVICTION,
    &POLICY_V1_POD_DISRUPTION_BUDGET,
    &POLICY_V1_POD_DISRUPTION_BUDGET_LIST,
    &POLICY_V1_POD_DISRUPTION_BUDGET_SPEC,
    &POLICY_V1_POD_DISRUPTION_BUDGET_STATUS,
    &RBAC_V1_AGGREGATION_RULE,
    &RBAC_V1_CLUSTER_ROLE,
    &RBAC_V1_CLUSTER_ROLE_BINDING,
    &RBAC_V1_CLUSTER_ROLE_BINDING_LIST,
    &RBAC_V1_CLUSTER_ROLE_LIST,
    &RBAC_V1_POLICY_RULE,
    &RBAC_V1_ROLE,
    &RBAC_V1_ROLE_BINDING,
    &RBAC_V1_ROLE_BINDING_LIST,
    &RBAC_V1_ROLE_LIST,
    &RBAC_V1_ROLE_REF,
    &RBAC_V1_SUBJECT,
    &RESOURCE_V1_ALLOCATED_DEVICE_STATUS,
    &RESOURCE_V1_ALLOCATION_RESULT,
    &RESOURCE_V1_CEL_DEVICE_SELECTOR,
    &RESOURCE_V1_CAPACITY_REQUEST_POLICY,
    &RESOURCE_V1_CAPACITY_REQUEST_POLICY_RANGE,
    &RESOURCE_V1_CAPACITY_REQUIREMENTS,
    &RESOURCE_V1_COUNTER,
    &RESOURCE_V1_COUNTER_SET,
    &RESOURCE_V1_DEVICE,
    &RESOURCE_V1_DEVICE_ALLOCATION_CONFIGURATION,
    &RESOURCE_V1_DEVICE_ALLOCATION_RESULT,
    &RESOURCE_V1_DEVICE_ATTRIBUTE,
    &RESOURCE_V1_DEVICE_CAPACITY,
    &RESOURCE_V1_DEVICE_CLAIM,
    &RESOURCE_V1_DEVICE_CLAIM_CONFIGURATION,
    &RESOURCE_V1_DEVICE_CLASS,
    &RESOURCE_V1_DEVICE_CLASS_CONFIGURATION,
    &RESOURCE_V1_DEVICE_CLASS_LIST,
    &RESOURCE_V1_DEVICE_CLASS_SPEC,
    &RESOURCE_V1_DEVICE_CONSTRAINT,
    &RESOURCE_V1_DEVICE_COUNTER_CONSUMPTION,
    &RESOURCE_V1_DEVICE_DERIVED_ATTRIBUTE,
    &RESOURCE_V1_DEVICE_REQUEST,
    &RESOURCE_V1_DEVICE_REQUEST_ALLOCATION_RESULT,
    &RESOURCE_V1_DEVICE_SELECTOR,
    &RESOURCE_V1_DEVICE_SUB_REQUEST,
    &RESOURCE_V1_DEVICE_TAINT,
    &RESOURCE_V1_DEVICE_TAINT_RULE,
    &RESOURCE_V1_DEVICE_TAINT_RULE_LIST,
    &RESOURCE_V1_DEVICE_TAINT_RULE_SPEC,
    &RESOURCE_V1_DEVICE_TAINT_RULE_STATUS,
    &RESOURCE_V1_DEVICE_TAINT_SELECTOR,
    &RESOURCE_V1_DEVICE_TOLERATION,
    &RESOURCE_V1_EXACT_DEVICE_REQUEST,
    &RESOURCE_V1_NETWORK_DEVICE_DATA,
    &RESOURCE_V1_NODE_ALLOCATABLE_MAPPING,
    &RESOURCE_V1_NODE_ALLOCATABLE_OVERHEAD,
    &RESOURCE_V1_NODE_ALLOCATABLE_RESOURCE,
    &RESOURCE_V1_OPAQUE_DEVICE_CONFIGURATION,
    &RESOURCE_V1_RESOURCE_CLAIM,
    &RESOURCE_V1_RESOURCE_CLAIM_CONSUMER_REFERENCE,
    &RESOURCE_V1_RESOURCE_CLAIM_LIST,
    &RESOURCE_V1_RESOURCE_CLAIM_SPEC,
    &RESOURCE_V1_RESOURCE_CLAIM_STATUS,
    &RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE,
    &RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE_LIST,
    &RESOURCE_V1_RESOURCE_CLAIM_TEMPLATE_SPEC,
    &RESOURCE_V1_RESOURCE_POOL,
    &RESOURCE_V1_RESOURCE_SLICE,
    &RESOURCE_V1_RESOURCE_SLICE_LIST,
    &RESOURCE_V1_RESOURCE_SLICE_SPEC,
    &SCHEDULING_V1_PRIORITY_CLASS,
    &SCHEDULING_V1_PRIORITY_CLASS_LIST,
    &SCHEDULING_V1ALPHA3_TOPOLOGY_CONSTRAINT,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_ALL_DISRUPTION_MODE,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_BASIC_SCHEDULING_POLICY,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_DISRUPTION_MODE,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_GANG_SCHEDULING_POLICY,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_RESOURCE_CLAIM,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SCHEDULING_CONSTRAINTS,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SCHEDULING_POLICY,
    &SCHEDULING_V1ALPHA3_WORKLOAD_POD_GROUP_SINGLE_DISRUPTION_MODE,
    &STORAGE_V1_CSI_DRIVER,
    &STORAGE_V1_CSI_DRIVER_LIST,
    &STORAGE_V1_CSI_DRIVER_SPEC,
    &STORAGE_V1_CSI_NODE,
    &STORAGE_V1_CSI_NODE_DRIVER,
    &STORAGE_V1_CSI_NODE_LIST,
    &STORAGE_V1_CSI_NODE_SPEC,
    &STORAGE_V1_CSI_NODE_STATUS,
    &STORAGE_V1_CSI_STORAGE_CAPACITY,
    &STORAGE_V1_CSI_STORAGE_CAPACITY_LIST,
    &STORAGE_V1_STORAGE_CLASS,
    &STORAGE_V1_STORAGE_CLASS_LIST,
    &STORAGE_V1_STORAGE_HEALTH,
    &STORAGE_V1_STORAGE_HEALTH_CONDITION,
    &STORAGE_V1_TOKEN_REQUEST,
    &STORAGE_V1_VOLUME_ATTACHMENT,
    &STORAGE_V1_VOLUME_ATTACHMENT_LIST,
    &STORAGE_V1_VOLUME_ATTACHMENT_SOURCE,
    &STORAGE_V1_VOLUME_ATTACHMENT_SPEC,
    &STORAGE_V1_VOLUME_ATTACHMENT_STATUS,
    &STORAGE_V1_VOLUME_ATTRIBUTES_CLASS,
    &STORAGE_V1_VOLUME_ATTRIBUTES_CLASS_LIST,
    &STORAGE_V1_VOLUME_ERROR,
    &STORAGE_V1_VOLUME_NODE_RESOURCES,
    &STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION,
    &STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_LIST,
    &STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_SPEC,
    &STORAGEMIGRATION_V1_STORAGE_VERSION_MIGRATION_STATUS,
    &STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION,
    &STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_LIST,
    &STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_SPEC,
    &STORAGEMIGRATION_V1BETA1_STORAGE_VERSION_MIGRATION_STATUS,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_COLUMN_DEFINITION,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_CONVERSION,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_CONDITION,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_LIST,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_NAMES,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_SPEC,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_STATUS,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_DEFINITION_VERSION,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCE_SCALE,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCE_STATUS,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_SUBRESOURCES,
    &APIEXTENSIONS_V1_CUSTOM_RESOURCE_VALIDATION,
    &APIEXTENSIONS_V1_EXTERNAL_DOCUMENTATION,
    &APIEXTENSIONS_V1_JSON_SCHEMA_PROPS,
    &APIEXTENSIONS_V1_SELECTABLE_FIELD,
    &APIEXTENSIONS_V1_SERVICE_REFERENCE,
    &APIEXTENSIONS_V1_VALIDATION_RULE,
    &APIEXTENSIONS_V1_WEBHOOK_CLIENT_CONFIG,
    &APIEXTENSIONS_V1_WEBHOOK_CONVERSION,
    &META_V1_API_GROUP,
    &META_V1_API_GROUP_LIST,
    &META_V1_API_RESOURCE,
    &META_V1_API_RESOURCE_LIST,
    &META_V1_API_VERSIONS,
    &META_V1_CONDITION,
    &META_V1_DELETE_OPTIONS,
    &META_V1_FIELD_SELECTOR_REQUIREMENT,
    &META_V1_GROUP_RESOURCE,
    &META_V1_GROUP_VERSION_FOR_DISCOVERY,
    &META_V1_LABEL_SELECTOR,
    &META_V1_LABEL_SELECTOR_REQUIREMENT,
    &META_V1_LIST_META,
    &META_V1_MANAGED_FIELDS_ENTRY,
    &META_V1_OBJECT_META,
    &META_V1_OWNER_REFERENCE,
    &META_V1_PRECONDITIONS,
    &META_V1_SERVER_ADDRESS_BY_CLIENT_CIDR,
    &META_V1_SHARD_INFO,
    &META_V1_STATUS,
    &META_V1_STATUS_CAUSE,
    &META_V1_STATUS_DETAILS,
    &META_V1_WATCH_EVENT,
    &VERSION_INFO,
    &APIREGISTRATION_V1_API_SERVICE,
    &APIREGISTRATION_V1_API_SERVICE_CONDITION,
    &APIREGISTRATION_V1_API_SERVICE_LIST,
    &APIREGISTRATION_V1_API_SERVICE_SPEC,
    &APIREGISTRATION_V1_API_SERVICE_STATUS,
    &APIREGISTRATION_V1_SERVICE_REFERENCE,
];
