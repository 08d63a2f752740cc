"""What local commands write down is for its owner alone: keys, addresses, logs, mail, data."""

from __future__ import annotations

import stat

from devstack.pids import private_folder
from devstack.processes import Services, master_key
from shared.ops import token


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_made_for_a_run_can_be_entered_by_their_owner_alone(tmp_path):
    run = tmp_path / ".run"
    token.demo_key(run / "keys")
    master_key(run / "master")
    services = Services(run / "demo", {})
    service = services.start("nothing", module="shared.nothing")
    service.process.wait()
    assert service.process.stdout is not None
    service.process.stdout.close()
    assert {mode(one) for one in [run, *run.iterdir()]} == {0o700}


def test_a_run_folder_that_others_could_enter_is_closed_to_them_and_no_other_folder_is(tmp_path):
    run = tmp_path / "shared" / ".run"
    (run / "keys").mkdir(parents=True)
    for folder in (run.parent, run, run / "keys"):
        folder.chmod(0o755)
    private_folder(run / "keys")
    assert [mode(one) for one in (run.parent, run, run / "keys")] == [0o755, 0o700, 0o755]
