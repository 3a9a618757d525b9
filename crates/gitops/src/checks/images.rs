//! An image reference names exactly what runs.

use super::{Demands, Findings};
use crate::environment::Environment;
use crate::image::Image;
use crate::object::Object;
use crate::path::Path;
use crate::pods::pods;

pub(super) fn check(environment: &Environment, demands: &Demands, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        for pod in pods(object) {
            for container in pod.containers() {
                let at = container.at.key("image");
                match container.node.text_at("image") {
                    Some(image) => examine(object, &at, image, demands, findings),
                    // a TrainJob brings the image
                    None if pod.for_train_jobs => {}
                    None => {
                        let message = format!("container {} of {} has no image", container.name, object.id);
                        findings.add(object, &at, "floating-image", message, "name an image with its tag or digest");
                    }
                }
            }
        }
        if object.id.kind == "TrainJob"
            && let Some(image) = object.node.text_at("spec.trainer.image")
        {
            examine(object, &Path::of("spec.trainer.image"), image, demands, findings);
        }
    }
}

fn examine(object: &Object, at: &Path, text: &str, demands: &Demands, findings: &mut Findings<'_>) {
    let image = Image::of(text);
    if image.floats() {
        let message = format!("{} runs {text}, which may be another image tomorrow", object.id);
        let help = format!(
            "give a version, such as {}:1.2.3, or a digest; images are set in clusters/{}/images",
            image.name, demands.environment
        );
        findings.add(object, at, "floating-image", message, help);
    } else if demands.images_by_digest && image.digest.is_none() {
        let message = format!("{} runs {text}, and {} requires images by digest", object.id, demands.environment);
        let help = format!("set digest: sha256:… for {} in clusters/{}/images", image.name, demands.environment);
        findings.add(object, at, "image-without-digest", message, help);
    }
}
