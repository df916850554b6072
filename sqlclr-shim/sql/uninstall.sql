-- Takes TensorAtom out of the current database. Stores and their files are not touched. Written by `make clr-sql`.
-- The tables tensoratom.PayloadReference, OrphanPayload and MigrationRow are kept: they say what the stores hold.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF DB_ID(N'msdb') IS NOT NULL AND SERVERPROPERTY('EngineEdition') <> 4
BEGIN
    DECLARE @job nvarchar(128) = CONCAT(N'TensorAtom reconcile ', DB_NAME());
    IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs WHERE name = @job)
        EXEC msdb.dbo.sp_delete_job @job_name = @job;
END;
GO
DROP PROCEDURE IF EXISTS tensoratom.ReconcileStore;
DROP PROCEDURE IF EXISTS tensoratom.CollectOrphans;
DROP PROCEDURE IF EXISTS tensoratom.ReconcileStores;
DROP PROCEDURE IF EXISTS tensoratom.MigrateBatch;
DROP PROCEDURE IF EXISTS tensoratom.MigrateCheck;
DROP PROCEDURE IF EXISTS tensoratom.MigrateRollback;
GO
DROP AGGREGATE IF EXISTS dbo.GeometricMedian;
DROP AGGREGATE IF EXISTS dbo.PrincipalComponentAnalysis;
DROP AGGREGATE IF EXISTS dbo.RandomProjection;
DROP AGGREGATE IF EXISTS dbo.StreamingSoftmax;
DROP AGGREGATE IF EXISTS dbo.VectorCentroid;
DROP AGGREGATE IF EXISTS dbo.VectorCovariance;
DROP AGGREGATE IF EXISTS dbo.VectorKMeansCluster;
DROP AGGREGATE IF EXISTS dbo.VectorMeanVariance;
DROP AGGREGATE IF EXISTS dbo.clr_GeometricMedian;
DROP AGGREGATE IF EXISTS dbo.clr_PrincipalComponents;
DROP AGGREGATE IF EXISTS dbo.clr_VectorCentroid;
DROP AGGREGATE IF EXISTS dbo.clr_VectorCovariance;
DROP AGGREGATE IF EXISTS dbo.clr_VectorKMeans;
DROP AGGREGATE IF EXISTS dbo.clr_VectorLogSumExp;
DROP AGGREGATE IF EXISTS dbo.clr_VectorMax;
DROP AGGREGATE IF EXISTS dbo.clr_VectorMeanVariance;
DROP AGGREGATE IF EXISTS dbo.clr_VectorMin;
DROP AGGREGATE IF EXISTS dbo.clr_VectorRandomProjection;
DROP AGGREGATE IF EXISTS dbo.clr_VectorSum;
DROP AGGREGATE IF EXISTS dbo.clr_VectorWeightedCentroid;
DROP AGGREGATE IF EXISTS dbo.clr_VectorWeightedSum;
DROP FUNCTION IF EXISTS dbo.clr_BytesToFloatArrayJson;
DROP FUNCTION IF EXISTS dbo.clr_Changes;
DROP PROCEDURE IF EXISTS dbo.clr_CreateStore;
DROP PROCEDURE IF EXISTS dbo.clr_CreateVectorSet;
DROP PROCEDURE IF EXISTS dbo.clr_DeleteTensorAtomPayload;
DROP PROCEDURE IF EXISTS dbo.clr_DeleteTensorAtomPayloadVersion;
DROP PROCEDURE IF EXISTS dbo.clr_DeleteVectors;
DROP FUNCTION IF EXISTS dbo.clr_DequantizeBlocks;
DROP FUNCTION IF EXISTS dbo.clr_GetTensor;
DROP FUNCTION IF EXISTS dbo.clr_GetTensorAtomPayload;
DROP FUNCTION IF EXISTS dbo.clr_GetTensorAtomPayloadFrom;
DROP FUNCTION IF EXISTS dbo.clr_GetTensorAtomPayloadRange;
DROP FUNCTION IF EXISTS dbo.clr_JsonFloatArrayToBytes;
DROP FUNCTION IF EXISTS dbo.clr_ListAtoms;
DROP FUNCTION IF EXISTS dbo.clr_MatrixFromSvd;
DROP FUNCTION IF EXISTS dbo.clr_MatrixMultiply;
DROP FUNCTION IF EXISTS dbo.clr_MatrixSvd;
DROP FUNCTION IF EXISTS dbo.clr_ProjectTo3D;
DROP PROCEDURE IF EXISTS dbo.clr_PutVectors;
DROP PROCEDURE IF EXISTS dbo.clr_QueryStore;
DROP FUNCTION IF EXISTS dbo.clr_SearchMatrix;
DROP FUNCTION IF EXISTS dbo.clr_SearchVectors;
DROP FUNCTION IF EXISTS dbo.clr_SearchVectorsWhere;
DROP FUNCTION IF EXISTS dbo.clr_StoreAliases;
DROP FUNCTION IF EXISTS dbo.clr_StoreStats;
DROP PROCEDURE IF EXISTS dbo.clr_StoreTensor;
DROP PROCEDURE IF EXISTS dbo.clr_StoreTensorAtomPayload;
DROP PROCEDURE IF EXISTS dbo.clr_StoreTensorAtomPayloadIn;
DROP FUNCTION IF EXISTS dbo.clr_TensorAtomPayloadDigest;
DROP FUNCTION IF EXISTS dbo.clr_UnpackFloats;
DROP FUNCTION IF EXISTS dbo.clr_VectorAdd;
DROP FUNCTION IF EXISTS dbo.clr_VectorAddOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorArgMax;
DROP FUNCTION IF EXISTS dbo.clr_VectorArgMaxOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorConvert;
DROP FUNCTION IF EXISTS dbo.clr_VectorCosineSimilarity;
DROP FUNCTION IF EXISTS dbo.clr_VectorCosineSimilarityOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorDequantize;
DROP FUNCTION IF EXISTS dbo.clr_VectorDistance;
DROP FUNCTION IF EXISTS dbo.clr_VectorDotProduct;
DROP FUNCTION IF EXISTS dbo.clr_VectorDotProductOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorEuclideanDistance;
DROP FUNCTION IF EXISTS dbo.clr_VectorEuclideanDistanceOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorLerp;
DROP FUNCTION IF EXISTS dbo.clr_VectorLerpOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorNorm;
DROP FUNCTION IF EXISTS dbo.clr_VectorNormOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorNormalize;
DROP FUNCTION IF EXISTS dbo.clr_VectorNormalizeOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorProject;
DROP FUNCTION IF EXISTS dbo.clr_VectorQuantize;
DROP FUNCTION IF EXISTS dbo.clr_VectorScale;
DROP FUNCTION IF EXISTS dbo.clr_VectorScaleOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorSetInfo;
DROP FUNCTION IF EXISTS dbo.clr_VectorSoftmax;
DROP FUNCTION IF EXISTS dbo.clr_VectorSoftmaxOf;
DROP FUNCTION IF EXISTS dbo.clr_VectorSubtract;
DROP FUNCTION IF EXISTS dbo.clr_VectorSubtractOf;
DROP PROCEDURE IF EXISTS dbo.clr_VerifyStore;
GO
DROP ASSEMBLY IF EXISTS [TensorAtom.SqlClr];
GO
DECLARE @members nvarchar(max) = (
    SELECT STRING_AGG(CAST(CONCAT(N'ALTER ROLE ', QUOTENAME(r.name), N' DROP MEMBER ', QUOTENAME(u.name)) AS nvarchar(max)), N'; ')
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
    INNER JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id
    WHERE r.name IN (N'tensoratom_math', N'tensoratom_reader', N'tensoratom_writer', N'tensoratom_operator'));
SET @members = COALESCE(@members, N'');
EXEC sys.sp_executesql @members;
GO
DROP ROLE IF EXISTS tensoratom_math;
DROP ROLE IF EXISTS tensoratom_reader;
DROP ROLE IF EXISTS tensoratom_writer;
DROP ROLE IF EXISTS tensoratom_operator;
GO
