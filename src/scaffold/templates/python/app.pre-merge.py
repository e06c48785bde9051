

class PreMerge(exports.PreMerge):
    def check(self, update: pre_merge.Update) -> pre_merge.Answer:
        subject = rules_pre_merge.held_by([commit.subject for commit in update.commits], settings().get("hold-words", []))
        if subject is None:
            return pre_merge.Answer_Proceed([])
        return pre_merge.Answer_NotNow(pre_merge.Postponement(reason=subject, until=None))
