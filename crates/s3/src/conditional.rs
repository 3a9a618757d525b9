//! s3s-fs with one write at a time where a condition asks for it.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use futures::TryStreamExt;
use http::{Extensions, HeaderMap, Method, Uri};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, ETag, ETagCondition, GetBucketLocationInput, GetBucketLocationOutput,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use crate::key_locks::KeyLocks;

/// The body of a conditional write is read before the key is locked if it is not larger, so that a slow client blocks nobody.
const SMALL: i64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Conditional {
    files: FileSystem,
    folder: PathBuf,
    /// Held by whoever writes: conditional writes alone, others together.
    writes: KeyLocks,
    /// Held alone while content changes under a condition, shared while content and its tag are looked up.
    contents: KeyLocks,
}

/// The right to write.
enum Write {
    Alone { _writes: OwnedRwLockWriteGuard<()>, _contents: OwnedRwLockWriteGuard<()> },
    Shared { _writes: OwnedRwLockReadGuard<()> },
}

impl Conditional {
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let files = FileSystem::new(folder).map_err(|error| format!("{error:?}"))?;
        let folder = folder.canonicalize().map_err(|error| error.to_string())?;
        Ok(Self { files, folder, writes: KeyLocks::default(), contents: KeyLocks::default() })
    }

    /// Locks a key for a write, and checks its conditions if there are any.
    async fn write(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
    ) -> S3Result<Write> {
        if if_match.is_none() && if_none_match.is_none() {
            return Ok(Write::Shared { _writes: self.writes.shared(bucket, key).await });
        }
        if if_none_match.as_ref().is_some_and(|condition| !condition.is_any()) {
            return Err(s3_error!(NotImplemented, "If-None-Match takes * alone"));
        }
        let Some(writes) = self.writes.try_alone(bucket, key) else {
            return Err(s3_error!(ConditionalRequestConflict, "Another write of this key is on its way"));
        };
        let contents = self.contents.alone(bucket, key).await;
        let tag = self.tag(bucket, key).await?;
        if if_none_match.is_some() && tag.is_some() {
            return Err(s3_error!(PreconditionFailed, "The object exists"));
        }
        match (if_match, tag) {
            (None, _) | (Some(ETagCondition::Any), Some(_)) => {}
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(ETagCondition::ETag(expected)), Some(tag)) if tag.strong_cmp(&expected) => {}
            (Some(ETagCondition::ETag(_)), Some(_)) => {
                return Err(s3_error!(PreconditionFailed, "The object has another entity tag"));
            }
        }
        self.forget_tag(bucket, key);
        Ok(Write::Alone { _writes: writes, _contents: contents })
    }

    /// The entity tag of an object; `None` if there is none.
    async fn tag(&self, bucket: &str, key: &str) -> S3Result<Option<ETag>> {
        let input = HeadObjectInput::builder().bucket(bucket.to_owned()).key(key.to_owned()).build();
        let input = input.map_err(|error| s3_error!(error, InternalError))?;
        match self.files.head_object(request(input)).await {
            Ok(answer) => Ok(answer.output.e_tag),
            Err(error) if *error.code() == s3s::S3ErrorCode::NoSuchKey => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// s3s-fs keeps a tag beside the content and writes it after that. Without it the tag is computed from the content, so whoever is killed
    /// between the two leaves no tag that belongs to other content.
    fn forget_tag(&self, bucket: &str, key: &str) {
        let [bucket, key] = [bucket, key].map(|text| URL_SAFE_NO_PAD.encode(text));
        // it may not exist
        let _ = std::fs::remove_file(self.folder.join(format!(".bucket-{bucket}.object-{key}.internal.json")));
    }
}

/// A request of this process itself.
fn request<T>(input: T) -> S3Request<T> {
    S3Request {
        input,
        method: Method::GET,
        uri: Uri::default(),
        headers: HeaderMap::default(),
        extensions: Extensions::default(),
        credentials: None,
        region: None,
        service: None,
        trailing_headers: None,
    }
}

/// The whole body of a small write.
async fn buffered(body: Option<StreamingBlob>) -> S3Result<Option<StreamingBlob>> {
    let Some(body) = body else { return Ok(None) };
    let bytes = body.try_fold(BytesMut::new(), async |mut bytes, more| {
        bytes.extend_from_slice(&more);
        Ok(bytes)
    });
    let bytes = bytes.await.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
    Ok(Some(StreamingBlob::from(Body::from(bytes.freeze()))))
}

/// What s3s-fs does: the operations in braces as they are, the others with locks.
macro_rules! s3 {
    ({ $($name:ident($input:ident) -> $output:ident;)* } $($own:tt)*) => {
        #[async_trait::async_trait]
        impl S3 for Conditional {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.files.$name(request).await
            })*

            $($own)*
        }
    };
}

s3! {
    {
        create_bucket(CreateBucketInput) -> CreateBucketOutput;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
        head_bucket(HeadBucketInput) -> HeadBucketOutput;
        list_buckets(ListBucketsInput) -> ListBucketsOutput;
        list_objects(ListObjectsInput) -> ListObjectsOutput;
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
        upload_part(UploadPartInput) -> UploadPartOutput;
        upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
        list_parts(ListPartsInput) -> ListPartsOutput;
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        // once the file is open, it stays the one that the tag belongs to
        let _contents = self.contents.shared(&request.input.bucket, &request.input.key).await;
        self.files.get_object(request).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let _contents = self.contents.shared(&request.input.bucket, &request.input.key).await;
        self.files.head_object(request).await
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = &mut request.input;
        let (if_match, if_none_match) = (input.if_match.take(), input.if_none_match.take());
        let is_conditional = if_match.is_some() || if_none_match.is_some();
        if is_conditional && input.content_length.is_some_and(|length| length <= SMALL) {
            input.body = buffered(input.body.take()).await?;
        }
        let _write = self.write(&input.bucket, &input.key, if_match, if_none_match).await?;
        self.files.put_object(request).await
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = &mut request.input;
        let (if_match, if_none_match) = (input.if_match.take(), input.if_none_match.take());
        let _write = self.write(&input.bucket, &input.key, if_match, if_none_match).await?;
        self.files.complete_multipart_upload(request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let _write = self.writes.shared(&request.input.bucket, &request.input.key).await;
        self.files.copy_object(request).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _write = self.writes.shared(&request.input.bucket, &request.input.key).await;
        self.files.delete_object(request).await
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut writes = Vec::new();
        let mut keys: Vec<&str> = request.input.delete.objects.iter().map(|object| object.key.as_str()).collect();
        // in one order, so that two of them do not wait for each other
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            writes.push(self.writes.shared(&request.input.bucket, key).await);
        }
        self.files.delete_objects(request).await
    }
}
