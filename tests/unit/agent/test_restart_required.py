"""What waits for a restart."""

from outrider.agent.restart_required import RestartRequired


def test_reasons_come_and_go() -> None:
    """A restart is required while at least one change waits for it; each is named once, in their order."""
    waiting = RestartRequired()
    required = [waiting.required]
    for name in ("cert-directory", "docker-url", "cert-directory"):
        waiting.because(name)
    required.append(waiting.required)
    assert waiting.reasons == ("cert-directory", "docker-url")
    for name in ("cert-directory", "docker-url", "docker-url"):
        waiting.no_longer(name)
        required.append(waiting.required)
    assert required == [False, True, True, False, False]
