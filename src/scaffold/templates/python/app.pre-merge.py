

class PreMerge(exports.PreMerge):
    def check(self, update: pre_merge.Update) -> pre_merge.Answer:
        subjects = [commit.subject for commit in update.commits]
        subject = rules_pre_merge.held_by(subjects, settings().get("hold-words", []))
        if subject is None:
            return pre_merge.Answer_Proceed([])
        return pre_merge.Answer_NotNow(pre_merge.Postponement(reason=subject, until=None))
