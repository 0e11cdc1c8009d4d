"""How the processes of a stack are called."""

from cli.programs import Program, delivery_command, stack_programs


def programs(**options: list[str]) -> dict[str, Program]:
    made = stack_programs(port=8000, sandbox_port=8001, metrics_port=0, workers=2, **options)
    return {program.name: program for program in made}


def test_another_command_runs_the_workers_alone() -> None:
    usual, changed = programs(), programs(worker_command=["python", "-m", "elsewhere"])
    for name, program in changed.items():
        if name.startswith("worker-"):
            assert program.argv == ["python", "-m", "elsewhere", *usual[name].argv[len(delivery_command()) :]]
        else:
            assert program.argv == usual[name].argv


def test_options_go_to_the_sandbox_alone() -> None:
    usual, changed = programs(), programs(sandbox_options=["--push-retry-seconds", "1"])
    assert changed["sandbox"].argv == [*usual["sandbox"].argv, "--push-retry-seconds", "1"]
    assert all(changed[name].argv == usual[name].argv for name in usual if name != "sandbox")
