

class Observer(exports.Observer):
    def event(self, json: str) -> None:
        settings()
        text = rules_observer.outcome(json)
        if text is not None:
            log.write(log.Level.INFO, text)
