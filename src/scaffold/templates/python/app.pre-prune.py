

class PrePrune(exports.PrePrune):
    def choose(self, candidates: pre_prune.Candidates) -> list[pre_prune.Keep]:
        keep = settings().get("keep", [])
        kept = [item for item in candidates.items if rules_pre_prune.is_kept(item.references, keep)]
        return [pre_prune.Keep(id=item.id, reason="matches `keep`") for item in kept]
