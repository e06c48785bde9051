

class ConflictResolver(exports.ConflictResolver):
    def resolve(self, conflict: conflict_resolver.Conflict) -> conflict_resolver.Resolution:
        if rules_conflict_resolver.is_ours(conflict.path, settings().get("ours", [])):
            return conflict_resolver.Resolution_Ours()
        return conflict_resolver.Resolution_Pass()
