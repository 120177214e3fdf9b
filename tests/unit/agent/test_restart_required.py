"""What waits for a restart."""

from outrider.agent.restart_required import RestartRequired


def test_reasons_come_and_go() -> None:
    """A restart is required while at least one change waits for it."""
    waiting = RestartRequired()
    assert waiting.reasons == ()
    waiting.because("cert-directory")
    waiting.because("docker-url")
    waiting.because("cert-directory")
    assert waiting.reasons == ("cert-directory", "docker-url")
    waiting.no_longer("cert-directory")
    assert waiting.required
    waiting.no_longer("docker-url")
    waiting.no_longer("docker-url")
    assert not waiting.required
