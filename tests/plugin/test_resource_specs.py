"""A resource may be named in every way that Kopf takes, and it is the one that Kopf would take."""

import itertools

import kopf
import pytest
from kopf._cogs.structs.references import Selector

from workqueue.base.errors import ConfigurationError
from workqueue.plugin.resources import ResourceSpec, api_path


def resource(group, version, plural, kind, *, shortcuts=(), preferred=True, **options):
    return kopf.Resource(
        group=group, version=version, plural=plural, kind=kind, singular=kind.lower(),
        shortcuts=frozenset(shortcuts), preferred=preferred, namespaced=True, **options,
    )  # fmt: skip


PODS = resource("", "v1", "pods", "Pod", shortcuts=["po"])
POD_METRICS = resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
EVENTS = resource("", "v1", "events", "Event", shortcuts=["ev"])
EVENTS_K8S = resource("events.k8s.io", "v1", "events", "Event", shortcuts=["ev"])
DEPLOYMENTS = resource("apps", "v1", "deployments", "Deployment", shortcuts=["deploy"])
DEPLOYMENTS_OLD = resource("apps", "v1beta2", "deployments", "Deployment", shortcuts=["deploy"], preferred=False)
FOOS = resource("samplecontroller.k8s.io", "v1alpha1", "foos", "Foo")
OTHER_FOOS = resource("example.com", "v1", "foos", "Foo")
CLUSTER = [EVENTS_K8S, EVENTS, POD_METRICS, PODS, DEPLOYMENTS_OLD, DEPLOYMENTS, FOOS, OTHER_FOOS]

FORMS = {
    "plural": (("pods",), {}, [PODS]),
    "singular": (("pod",), {}, [PODS]),
    "kind": (("Pod",), {}, [PODS]),
    "short name": (("po",), {}, [PODS]),
    "the kind of another group": (("PodMetrics",), {}, [POD_METRICS]),
    "core goes first": (("events",), {}, [EVENTS]),
    "the other group if it is said": (("events.events.k8s.io",), {}, [EVENTS_K8S]),
    "plural.group": (("deployments.apps",), {}, [DEPLOYMENTS]),
    "short.group": (("deploy.apps",), {}, [DEPLOYMENTS]),
    "plural.long.group": (("foos.samplecontroller.k8s.io",), {}, [FOOS]),
    "plural.version.group": (("deployments.v1.apps",), {}, [DEPLOYMENTS]),
    "an old version": (("deployments.v1beta2.apps",), {}, [DEPLOYMENTS_OLD]),
    "plural.version.long.group": (("foos.v1alpha1.samplecontroller.k8s.io",), {}, [FOOS]),
    "plural.version": (("pods.v1",), {}, [PODS]),
    "plural.version of no group in particular": (("deployments.v1",), {}, [DEPLOYMENTS]),
    "a version nobody serves": (("deployments.v2.apps",), {}, []),
    "a dot with nothing behind is core": (("pods.",), {}, [PODS]),
    "and nothing else": (("deployments.",), {}, []),
    "a version and a dot is core": (("deployments.v1.",), {}, []),
    "plural.version with group=": (("deployments.v1",), {"group": "apps"}, [DEPLOYMENTS]),
    "group, plural": (("apps", "deployments"), {}, [DEPLOYMENTS]),
    "core group, plural": (("", "pods"), {}, [PODS]),
    "group/version, plural": (("apps/v1beta2", "deployments"), {}, [DEPLOYMENTS_OLD]),
    "v1, plural": (("v1", "pods"), {}, [PODS]),
    "v1 is the core group's": (("v1", "deployments"), {}, []),
    "group, version, plural": (("apps", "v1", "deployments"), {}, [DEPLOYMENTS]),
    "core group, version, plural": (("", "v1", "pods"), {}, [PODS]),
    "kind=": ((), {"kind": "Foo", "group": "example.com"}, [OTHER_FOOS]),
    "plural=": ((), {"plural": "pods", "group": "metrics.k8s.io"}, [POD_METRICS]),
    "singular=": ((), {"singular": "deployment"}, [DEPLOYMENTS]),
    "shortcut=": ((), {"shortcut": "po"}, [PODS]),
    "shortcut= is no plural": ((), {"shortcut": "pods"}, []),
    "kind= is no plural": ((), {"kind": "pods"}, []),
    "plural= is no kind": ((), {"plural": "Pod"}, []),
    "singular= is no kind": ((), {"singular": "Pod"}, []),
    "version=": ((), {"plural": "deployments", "version": "v1beta2"}, [DEPLOYMENTS_OLD]),
    "group=": (("pods",), {"group": "metrics.k8s.io"}, [POD_METRICS]),
    "group= core": (("pods",), {"group": ""}, [PODS]),
    "not served": (("bars",), {}, []),
    "not in that group": (("pods.apps",), {}, []),
    "two groups": (("foos",), {}, [FOOS, OTHER_FOOS]),
    "two groups by kind": ((), {"kind": "Foo"}, [FOOS, OTHER_FOOS]),
}


@pytest.mark.parametrize(("args", "kwargs", "expected"), FORMS.values(), ids=FORMS)
def test_each_form_names_what_it_says_and_kopf_agrees(args, kwargs, expected):
    chosen = ResourceSpec.parse(*args, **kwargs).choose(CLUSTER)
    assert chosen == expected
    assert set(chosen) == set(Selector(*args, **kwargs).select(CLUSTER))


def test_the_order_of_the_cluster_does_not_matter():
    spec = ResourceSpec.parse("pods")
    for order in itertools.permutations([PODS, POD_METRICS, DEPLOYMENTS]):
        assert spec.choose(order) == [PODS]


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("",), {}),
        ((), {"group": "apps"}),
        ((), {"group": "apps", "version": "v1"}),
        (("pods",), {"kind": "Pod"}),
        ((), {"kind": "Pod", "plural": "pods"}),
        (("apps", "v1", "deployments", "more"), {}),
        (("apps", ""), {}),
        (("pods",), {"name": "pods"}),
        (("pods",), {"category": "all"}),
        ((), {"kind": "Pod", "plural": ""}),
        ((), {"plural": ""}),
        ((None,), {}),
        ((42,), {}),
        ((kopf.EVERYTHING,), {}),
        (((),), {}),
        ((), {"plural": None}),
        ((".apps",), {}),
        (("pods ",), {}),
        (("pods\n",), {}),
        (("pods/status",), {}),
        (("*",), {}),
        (("apps/v1", "deployments/scale"), {}),
        (("apps", "v1/", "deployments"), {}),
        ((), {"plural": "pods/status"}),
        ((), {"plural": "pods", "group": "a b"}),
        (("pods", "v1"), {}),
        (("apps", "deployments", "v1"), {}),
        (("v1beta1",), {}),
    ],
    ids=repr,
)
def test_what_names_no_single_resource_is_refused_in_one_line_that_repeats_it(args, kwargs):
    with pytest.raises(ConfigurationError) as caught:
        ResourceSpec.parse(*args, **kwargs)
    shown = ", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())])
    assert str(caught.value).startswith(f"informer({shown}): ")
    assert "\n" not in str(caught.value)


def test_a_subresource_and_a_name_in_the_place_of_a_version_are_told_apart():
    with pytest.raises(ConfigurationError, match=r"no resource is called 'pods/status'; expected such as 'pods'"):
        ResourceSpec.parse("pods/status")
    with pytest.raises(ConfigurationError, match=r"\('pods', 'v1'\): v1 is a version; the name comes last, as in"):
        ResourceSpec.parse("pods", "v1")


@pytest.mark.parametrize(
    ("args", "nearest"),
    [
        (("podss",), "pods"),
        (("podz",), "pods"),
        (("deploymnets",), "deployments.apps"),
        (("deployments.app",), "deployments.apps"),
        (("pods.apps",), "pods"),
        (("deployments.v7.apps",), "deployments.v1.apps"),
        (("Deploymnet",), "deployments.apps"),
        (("foo.samplecontroler.k8s.io",), "foos.samplecontroller.k8s.io"),
        (("bars",), ""),
        (("certificates.cert-manager.io",), ""),
    ],
    ids=str,
)
def test_what_may_have_been_meant_is_found(args, nearest):
    spec = ResourceSpec.parse(*args)
    assert spec.choose(CLUSTER) == []
    assert {spec.nearest(order) for order in (CLUSTER, CLUSTER[::-1])} == {nearest}
    assert spec.nearest([]) == ""


def test_a_resource_is_matched_without_choosing():
    spec = ResourceSpec.parse("pods")
    assert [each for each in CLUSTER if spec.matches(each)] == [POD_METRICS, PODS]


def test_kopf_is_given_what_the_user_said():
    spec = ResourceSpec.parse("deployments", group="apps", version="v1")
    assert (spec.args, spec.kopf_kwargs()) == (("deployments",), {"group": "apps", "version": "v1"})


def test_specs_are_values():
    assert ResourceSpec.parse("a", group="b", version="c") == ResourceSpec.parse("a", version="c", group="b")
    assert len({ResourceSpec.parse("pods"), ResourceSpec.parse("pods"), ResourceSpec.parse("po")}) == 2


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        (("pods",), {}, "pods"),
        (("", "pods"), {}, "pods"),
        (("deployments.v1.apps",), {}, "deployments.apps"),
        (("apps/v1", "deployments"), {}, "deployments.apps"),
        ((), {"kind": "Foo", "group": "example.com"}, "Foo.example.com"),
    ],
)
def test_a_spec_is_shown_as_name_and_group(args, kwargs, text):
    assert str(ResourceSpec.parse(*args, **kwargs)) == text


@pytest.mark.parametrize(
    ("of", "namespace", "path"),
    [
        (PODS, "", "/api/v1/pods"),
        (PODS, "default", "/api/v1/namespaces/default/pods"),
        (DEPLOYMENTS, "", "/apis/apps/v1/deployments"),
        (FOOS, "x", "/apis/samplecontroller.k8s.io/v1alpha1/namespaces/x/foos"),
    ],
)
def test_the_path_of_a_list(of, namespace, path):
    assert api_path(of, namespace) == path
