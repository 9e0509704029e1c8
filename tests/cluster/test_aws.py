"""`ray up cluster.yaml` to `ray down` against a simulated AWS, on a host without a route out.

moto makes instances with public addresses, which Ray would really connect to: here no route leads to them, and ssh and rsync are
stubs that write down what they are asked. So this holds what the launcher asks of AWS and of the head; workers are started by the
head, which is none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from world import LAPTOP, PATH, World

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parent.parent.parent
SERVER = "http://127.0.0.1:5000"
STUB = "#!/bin/sh\nprintf '%s\\n' \"$0 $*\" >> /shared/asked\n"
INSTANCES = """
import boto3, json
ec2 = boto3.client("ec2")
found = [instance for group in ec2.describe_instances()["Reservations"] for instance in group["Instances"]]
for instance in found:
    groups = [group["GroupId"] for group in instance["SecurityGroups"]]
    instance["Rules"] = [rule for group in groups and ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
                         for rule in group["IpPermissions"]]
    disks = [disk["Ebs"]["VolumeId"] for disk in instance["BlockDeviceMappings"]]
    instance["Sizes"] = [disk["Size"] for disk in disks and ec2.describe_volumes(VolumeIds=disks)["Volumes"]]
print(json.dumps(found, default=str))
"""
IMAGE = 'import boto3; print(boto3.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"])'


class SimulatedAWS:
    """A laptop, and AWS on its loopback."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environment = {
            "PATH": f"/shared/stubs:{sys.prefix}/bin:{PATH}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "AWS_ENDPOINT_URL": SERVER,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-west-2",
            # Ray attaches policies that AWS keeps ready.
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        }

    def type(self, line: str, timeout: float = 600) -> str:
        """What a line says."""
        said = self.world.run(LAPTOP, f"cd {ROOT}; {line}", timeout=timeout, **self.environment).stdout
        print(f"$ {line}\n{said}")
        return said

    def python(self, code: str) -> str:
        """What a program prints."""
        (self.world.shared / "code.py").write_text(code)
        return self.type("python /shared/code.py")

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        words = self.world.command(LAPTOP, "exec moto_server -p 5000", self.environment)
        subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.type(f"until curl -s -o /dev/null {SERVER}; do sleep 0.2; done")

    @property
    def instances(self) -> list[dict[str, Any]]:
        """All that there are or were, as AWS describes them, with the rules of their groups and the sizes of their disks."""
        return json.loads(self.python(INSTANCES))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedAWS]:
    """After `ray up`, with an image that the simulated AWS has."""
    with World(tmp_path_factory.mktemp("aws"), [ROOT, Path(sys.prefix), Path(sys.base_prefix)], [LAPTOP]) as world:
        (world.shared / "stubs").mkdir()
        for name in ("ssh", "rsync"):
            (world.shared / "stubs" / name).write_text(STUB)
            (world.shared / "stubs" / name).chmod(0o755)
        made = SimulatedAWS(world)
        made.start()
        text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
        (world.shared / "cluster.yaml").write_text(text.replace("ami-00000000000000000", made.python(IMAGE).strip()))
        made.type("ray get-auth-token --generate > /dev/null")
        made.type("ray up --yes --no-config-cache /shared/cluster.yaml")
        yield made


def test_ray_up_starts_the_head_alone(aws: SimulatedAWS) -> None:
    (head,) = aws.instances
    assert (head["State"]["Name"], head["InstanceType"], head["Sizes"]) == ("running", "m7i.large", [120])
    assert {"Key": "ray-user-node-type", "Value": "head"} in head["Tags"]
    assert head["IamInstanceProfile"]["Arn"].endswith("instance-profile/ray-autoscaler-v1")


def test_the_security_group_opens_ssh_to_the_world_and_the_rest_to_the_cluster(aws: SimulatedAWS) -> None:
    (head,) = aws.instances
    to_the_world = [rule["FromPort"] for rule in head["Rules"] if rule["IpRanges"]]
    to_the_cluster = [rule["UserIdGroupPairs"][0]["GroupId"] for rule in head["Rules"] if not rule["IpRanges"]]
    assert (to_the_world, to_the_cluster) == ([22], [head["SecurityGroups"][0]["GroupId"]])


def test_the_head_is_set_up_and_started_as_the_file_says(aws: SimulatedAWS) -> None:
    asked = (aws.world.shared / "asked").read_text()
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))
    commands = [*config["setup_commands"], *config["head_setup_commands"], *config["head_start_ray_commands"]]
    places = [asked.find(command.split("'")[0].strip()) for command in commands]
    assert -1 not in places
    assert places == sorted(places)
    assert "~/.ray/auth_token" in asked


def test_ray_down_ends_the_machine(aws: SimulatedAWS) -> None:
    aws.type("ray down --yes /shared/cluster.yaml")
    assert [machine["State"]["Name"] for machine in aws.instances] == ["terminated"]
