import msgspec
import pytest

from common.kube import objects

POD = {
    "kind": "Pod",
    "metadata": {
        "name": "web-0", "namespace": "shop", "uid": "u1", "resourceVersion": "42",
        "labels": {"app": "web"}, "annotations": {"prometheus.io/scrape": "true"},
        "creationTimestamp": "2024-05-01T10:00:00Z", "deletionTimestamp": None,
        "ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "o", "controller": True}],
        "managedFields": [{"manager": "kubelet"}],
    },
    "spec": {
        "nodeName": "n1", "hostNetwork": True,
        "containers": [{
            "name": "app", "image": "shop/web:1.2",
            "ports": [
                {"name": "metrics", "containerPort": 9100},
                {"containerPort": 53, "protocol": "UDP"},
            ],
        }],
        "initContainers": [{"name": "init", "image": "busybox"}],
    },
    "status": {
        "phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}],
        "hostIP": "192.168.0.1", "startTime": "2024-05-01T10:00:01Z",
        "containerStatuses": [{
            "name": "app", "containerID": "containerd://abc", "imageID": "sha256:1", "ready": True,
            "restartCount": 3,
        }],
    },
}  # fmt: skip

pods = objects.decoder(objects.Pod, objects.itself)


def page(**metadata: object) -> bytes:
    return msgspec.json.encode({"kind": "PodList", "metadata": metadata, "items": [POD]})


def test_a_page_holds_pods_with_the_fields_we_read() -> None:
    read = pods.page(page(resourceVersion="99"))
    (pod,) = read.items
    assert (read.version, read.next_page) == ("99", "")
    assert (pod.metadata.name, pod.metadata.uid, pod.metadata.resource_version) == (
        "web-0",
        "u1",
        "42",
    )
    assert pod.metadata.owner_references == (
        objects.OwnerReference(kind="StatefulSet", name="web", uid="o", controller=True),
    )
    assert (pod.spec.node_name, pod.spec.host_network) == ("n1", True)
    assert pod.spec.containers is not None and pod.spec.containers[0].ports is not None
    assert [(p.name, p.container_port, p.protocol) for p in pod.spec.containers[0].ports] == [
        ("metrics", 9100, "TCP"), ("", 53, "UDP"),
    ]  # fmt: skip
    assert pod.spec.init_containers == (objects.Container(name="init", image="busybox"),)
    assert pod.status.pod_ips is not None
    assert [a.ip for a in pod.status.pod_ips] == [pod.status.pod_ip, "fd00::7"]
    assert pod.status.start_time == "2024-05-01T10:00:01Z"


def test_the_token_of_the_next_page_is_kept() -> None:
    assert pods.page(page(resourceVersion="99", **{"continue": "abc"})).next_page == "abc"


def test_null_lists_are_empty_lists() -> None:
    assert pods.page(b'{"metadata":{"resourceVersion":"1"},"items":null}').items == ()
    line = b'{"type":"ADDED","object":{"metadata":{"labels":null},"spec":{"containers":null}}}'
    assert pods.event(line).item == objects.Pod()


def test_objects_shrink_as_they_are_read() -> None:
    names = objects.decoder(objects.Pod, lambda pod: pod.metadata.name)
    assert names.page(page(resourceVersion="1")).items == ("web-0",)
    line = msgspec.json.encode({"type": "DELETED", "object": POD})
    assert names.event(line) == objects.WatchEvent(verb="DELETED", version="42", item="web-0")


def test_a_bookmark_is_a_version_and_nothing_else() -> None:
    line = b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7"}}}'
    assert pods.event(line) == objects.WatchEvent(verb="BOOKMARK", version="7")


def test_an_error_event_says_why() -> None:
    line = (
        b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}}'
    )
    assert pods.event(line).error == objects.Status(code=410, reason="Expired", message="old")


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"[]", b'{"type":"NEWS","object":{}}', b'{"type":"ADDED"}',
        b'{"type":"ADDED","object":{"metadata":{"name":1}}}',
    ],
)  # fmt: skip
def test_an_unreadable_event_is_a_decode_error(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        pods.event(line)


def test_a_body_that_is_no_status_reads_as_an_empty_one() -> None:
    assert objects.status_of(b"<html>502</html>") == objects.Status()
    assert objects.status_of(b'{"code":403,"message":"no"}') == objects.Status(
        code=403, message="no"
    )


def test_services_and_slices_have_the_fields_that_discovery_reads() -> None:
    services = objects.decoder(objects.Service, objects.itself)
    body = b"""{"metadata": {"resourceVersion": "7"}, "items": [
        {"metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80,
         "protocol": "TCP", "targetPort": "http"}]}},
        {"metadata": {"name": "outside"}, "spec": {"type": "ExternalName", "ports": null}}]}"""
    web, outside = services.page(body).items
    assert web.spec.ports == (objects.ServicePort(name="http", port=80, protocol="TCP"),)
    assert outside.spec.ports is None
    slices = objects.decoder(objects.EndpointSlice, objects.itself)
    line = b"""{"type": "MODIFIED", "object": {"metadata": {"name": "web-1"},
        "addressType": "IPv4", "ports": [{"name": null, "port": 8080}],
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {}, "nodeName": "n1",
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": "p", "uid": "u"}}]}}"""
    found = slices.event(line).item
    assert found is not None
    assert found.address_type == "IPv4"
    assert found.ports == (objects.EndpointPort(port=8080),)
    assert found.endpoints == (
        objects.Endpoint(
            addresses=("10.0.0.1",),
            node_name="n1",
            target_ref=objects.ObjectReference(kind="Pod", namespace="shop", name="p", uid="u"),
        ),
    )


def test_an_init_container_says_whether_it_stays() -> None:
    raw = b'{"name": "side", "restartPolicy": "Always"}'
    assert msgspec.json.decode(raw, type=objects.Container).restart_policy == "Always"
