"""Speaks with a coordinator knowing only its address: services and messages come from reflection.

Usage: foreign_client.py HOST:PORT SWEEP.toml

Submits the sweep twice, works on one job as a worker would, delivers its result twice, and tries what must be refused.
"""

import json
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "offramp.v1"


class Client:
    def __init__(self, channel):
        self.channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self.pool = DescriptorPool(self.database)

    def call(self, service, method, **fields):
        descriptor = self.pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(method)
        request = GetMessageClass(descriptor.input_type)(**fields)
        answer = GetMessageClass(descriptor.output_type)
        stub = self.channel.unary_unary(
            f"/{PACKAGE}.{service}/{method}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString
        )
        return stub(request, timeout=20)

    def stream(self, service, method, **fields):
        """A call that answers with a stream of messages; to be cancelled by who has heard enough."""
        descriptor = self.pool.FindServiceByName(f"{PACKAGE}.{service}").FindMethodByName(method)
        request = GetMessageClass(descriptor.input_type)(**fields)
        answer = GetMessageClass(descriptor.output_type)
        stub = self.channel.unary_stream(
            f"/{PACKAGE}.{service}/{method}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer.FromString
        )
        return stub(request, timeout=20)

    def refused(self, code, service, method, **fields):
        try:
            self.call(service, method, **fields)
        except grpc.RpcError as error:
            assert error.code() == code, f"{method}: {error.code()} {error.details()}, expected {code}"
            return error.details()
        raise AssertionError(f"{method} {fields} was accepted")


def values(column):
    """A column's values, None where there is none."""
    held = getattr(column, column.WhichOneof("values")).values
    is_there = [not column.present or bool(column.present[row // 8] >> row % 8 & 1) for row in range(len(held))]
    return [value if there else None for value, there in zip(held, is_there)]


def read_results(client, job, n_exits):
    """What can be asked of results once one job has one."""
    everywhere = client.call("ResultService", "GetFrontier", cost_metric=3, grouping=3)
    assert [p.HasField("sweep") for p in everywhere.points] == [False], everywhere
    none = client.call("ResultService", "GetFrontier", sweep="last", cost_metric=1, where="accuracy > 0.5")
    assert not none.points and not none.more
    (stay,) = client.call("ResultService", "GetFrontierHistory", sweep="last", cost_metric=1).points
    assert stay.job == job and not stay.HasField("left_us") and stay.hypervolume > 0, stay
    page = client.call("ResultService", "ListResults", sweep="last", sort=["-exit"], limit=1)
    assert [(exit.job, exit.exit) for exit in page.exits] == [(job, n_exits - 1)] and page.more == (n_exits > 1), page
    assert len(client.call("ResultService", "ListPatterns", sweep="last").patterns) == 1
    compared = client.call("ResultService", "Compare", sweeps=["last"], metric="final_accuracy")
    assert compared.by == "pattern" and sum(level.n_jobs for level in compared.levels) == 1, compared

    batches = list(client.stream("ResultService", "Select", view="jobs", sweep="last", columns=["job", "final_accuracy", "attempt"]))
    assert sum(batch.n_rows for batch in batches) == 16
    names = [[column.name for column in batch.columns] for batch in batches]
    assert names == [["job", "final_accuracy", "attempt"]] * len(batches), names
    jobs, accuracies = (sum((values(batch.columns[index]) for batch in batches), []) for index in (0, 1))
    assert {j: a for j, a in zip(jobs, accuracies) if a is not None} == {job: 0.5}, accuracies
    (empty,) = client.stream("ResultService", "Select", view="v_exits", where="accuracy > 0.9", columns=["exit"])
    assert empty.n_rows == 0 and [column.kind for column in empty.columns] == ["integer"], empty

    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    hint = client.refused(invalid, "ResultService", "ListResults", sweep="last", sort=["acuracy"])
    assert "did you mean `accuracy`?" in hint, hint
    client.refused(invalid, "ResultService", "GetFrontier", sweep="last", cost_metric=1, where="accuracy >")
    client.refused(invalid, "ResultService", "GetFrontier", sweep="last", cost_metric=77)
    client.refused(invalid, "ResultService", "Compare", by="weather")
    client.refused(missing, "ResultService", "GetFrontierHistory", sweep="nothing of this name", cost_metric=1)
    try:
        list(client.stream("ResultService", "Select", view="jbos"))
        raise AssertionError("an unknown view was read")
    except grpc.RpcError as error:
        assert error.code() == invalid and "did you mean `jobs`?" in error.details(), error


def main():
    address, sweep_file = sys.argv[1:]
    channel = grpc.insecure_channel(address)
    grpc.channel_ready_future(channel).result(timeout=20)
    client = Client(channel)
    services = set(client.database.get_services())
    assert {f"{PACKAGE}.{name}" for name in ("SweepService", "WorkerService", "ResultService")} <= services, services
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", f"{PACKAGE}.SweepService", f"{PACKAGE}.WorkerService", f"{PACKAGE}.ResultService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING, (service, answer)

    text = open(sweep_file, encoding="utf-8").read()
    planned = client.call("SweepService", "SubmitSweep", text=text, dry_run=True)
    assert planned.n_jobs == 16 and not planned.HasField("sweep"), planned
    assert not client.call("SweepService", "ListSweeps").sweeps
    first = client.call("SweepService", "SubmitSweep", text=text)
    second = client.call("SweepService", "SubmitSweep", text=text)
    assert first.created and not second.created and first.sweep.sweep == second.sweep.sweep
    assert second.n_known_jobs == 16

    session = client.call("WorkerService", "OpenSession", worker="foreign", version="0", n_slots=1, trainer="by hand")
    assert 0 < session.heartbeat_ms < session.lease_ms
    (lease,) = client.call("WorkerService", "Claim", session=session.session, max_jobs=1).leases
    config = json.loads(lease.config_json)
    assert config["dataset"] == "digits" and lease.attempt == 1
    attempt = {"job_key": lease.job_key, "attempt": lease.attempt}
    n_exits = 1 if config["branches"] is None else 4
    # What an answer of the final exit costs, all branches paid and none.
    row = client.call("SweepService", "GetJob", job=lease.job_key[:12]).job
    assert row.state == "leased"
    cascade, selected = row.backbone_macs + row.branch_macs, row.backbone_macs
    exit_result = {"accuracy": 0.5, "loss": 1.0, "calibration_accuracy": 0.5, "calibration_loss": 1.0}
    point = {"policy": "fixed", "setting": n_exits - 1, "accuracy": 0.5, "macs_cascade": cascade, "macs_selected": selected,
             "calibration_accuracy": 0.5, "calibration_macs_cascade": cascade, "exit_shares": [0.0] * (n_exits - 1) + [1.0]}  # fmt: skip
    outcome = {"exits": [exit_result] * n_exits, "operating_points": [point], "n_train": 1, "n_calibration": 1, "n_test": 1,
               "train_seconds": 1.0, "trainer": "by hand"}  # fmt: skip

    beat = client.call("WorkerService", "Heartbeat", session=session.session, attempts=[{"attempt": attempt}])
    assert not beat.stale
    stale = dict(attempt, attempt=7)
    beat = client.call("WorkerService", "Heartbeat", session=session.session, attempts=[{"attempt": stale}])
    assert len(beat.stale) == 1 and beat.stale[0].attempt == 7

    invalid = grpc.StatusCode.INVALID_ARGUMENT
    accepted, stale_answer, refused_answer = 1, 2, 4

    def report(attempt, **end):
        return client.call("WorkerService", "Report", session=session.session, reports=[{"attempt": attempt, **end}]).results[0]

    # A result that the job cannot have is refused, and the lease goes on.
    one_more = dict(point, setting=n_exits, exit_shares=[*point["exit_shares"], 0.0])
    too_many = report(attempt, outcome=dict(outcome, exits=[exit_result] * (n_exits + 1), operating_points=[one_more]))
    assert too_many.answer == refused_answer and "exits" in too_many.reason, too_many
    nan = dict(outcome, exits=[dict(exit_result, accuracy=float("nan"))] * n_exits)
    not_a_share = {"attempt": attempt, "outcome": nan}
    try:
        answer = report(**not_a_share)
        assert answer.answer == refused_answer and "accuracy" in answer.reason, answer
    except grpc.RpcError as error:
        assert error.code() == invalid and "accuracy" in error.details(), error
    no_kind = [{"attempt": attempt, "failure": {"message": "no kind"}}]
    for reports in ([], no_kind, [{"attempt": attempt}], [{"outcome": outcome}], [{"attempt": attempt, "given_back": {}}] * 65):
        client.refused(invalid, "WorkerService", "Report", session=session.session, reports=reports)
    client.refused(invalid, "WorkerService", "Claim", session=session.session, max_jobs=100_000)
    client.refused(invalid, "SweepService", "SubmitSweep", text="name = 3")
    client.refused(grpc.StatusCode.NOT_FOUND, "SweepService", "GetJob", job="ffffffffffff")

    watched = client.stream("ResultService", "WatchFrontier", sweep="last", cost_metric=1)
    whole = next(watched)
    assert whole.whole and not whole.entered, whole
    answers = [report(attempt, outcome=outcome).answer for _ in range(3)]
    assert answers == [accepted] * 3, answers
    assert report(stale, outcome=outcome).answer == stale_answer
    frontier = client.call("ResultService", "GetFrontier", sweep="last", cost_metric=1)
    assert [(p.cost, p.accuracy) for p in frontier.points] == [(cascade, 0.5)], frontier
    client.refused(invalid, "ResultService", "GetFrontier", sweep="last")
    change = next(watched)
    assert not change.whole and [p.accuracy for p in change.entered] == [0.5] and not change.left, change
    assert [(g.dataset, g.n_points) for g in change.groups] == [("digits", 1)], change
    watched.cancel()
    read_results(client, lease.job_key[:12], n_exits)
    detail = client.call("SweepService", "GetJob", job=lease.job_key[:12])
    assert detail.job.state == "succeeded" and len(detail.attempts) == 1, detail
    client.call("WorkerService", "CloseSession", session=session.session)
    print("a foreign client can work")


if __name__ == "__main__":
    main()
