"""The README's commands, run as they stand."""

import json
import re
import subprocess
from pathlib import Path

from tests.end_to_end.conftest import System

ROOT = Path(__file__).parents[2]


def test_the_readme_takes_a_newcomer_to_delivered_reports_with_callback_data(system: System) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text().split("<!-- tested")[1], re.DOTALL)
    script = "set -euo pipefail\n" + "\n".join(f"{block}\necho" for block in blocks[:3])
    script = script.replace("http://127.0.0.1:8000", system.stack.api_url)
    script = script.replace("http://127.0.0.1:8001", system.stack.sandbox_url)
    script = script.replace("token create", f"token create --data-dir {system.stack.data_dir}")
    script = script.replace("\ncurl", "\necho; curl")  # each answer on a line of its own
    run = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    said = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    batch = next(answer for answer in said if "counts" in answer)
    assert batch["counts"] == {"delivered": 3}
    reports = next(answer for answer in said if "items" in answer and "source" in answer["items"][0])
    assert {item["callback_data"] for item in reports["items"]} >= {"order-5512", "order-5513", "order-5514"}
    sent = [json.dumps(call["request"]) for call in said if call.get("path") == "/sms/3/messages"]
    assert any("order-5513" in request and "1201150000000000001" in request for request in sent)
