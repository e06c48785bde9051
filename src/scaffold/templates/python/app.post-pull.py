

class PostPull(exports.PostPull):
    def check(self, pulled: post_pull.Pulled) -> post_pull.Answer:
        refuse = settings().get("refuse", [])
        for image in pulled.images:
            if rules_post_pull.is_refused(image.reference, refuse):
                return post_pull.Answer_Stop(f"{image.reference} has a refused tag")
        return post_pull.Answer_Proceed([])
