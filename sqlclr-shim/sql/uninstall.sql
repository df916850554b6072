-- Takes TensorAtom out of the current database. Stores and their files are not touched. Written by `make clr-sql`.
-- The tables tensoratom.PayloadReference and tensoratom.MigrationRow are kept: they say what the stores hold.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
DROP PROCEDURE IF EXISTS tensoratom.Reconcile;
DROP PROCEDURE IF EXISTS tensoratom.MigrateBatch;
DROP PROCEDURE IF EXISTS tensoratom.MigrateRollback;
GO
DROP AGGREGATE IF EXISTS dbo.GeometricMedian;
DROP AGGREGATE IF EXISTS dbo.PrincipalComponentAnalysis;
DROP AGGREGATE IF EXISTS dbo.VectorCentroid;
DROP AGGREGATE IF EXISTS dbo.VectorCovariance;
DROP AGGREGATE IF EXISTS dbo.VectorKMeansCluster;
DROP AGGREGATE IF EXISTS dbo.VectorMeanVariance;
DROP AGGREGATE IF EXISTS dbo.clr_GeometricMedian;
DROP AGGREGATE IF EXISTS dbo.clr_PrincipalComponents;
DROP AGGREGATE IF EXISTS dbo.clr_VectorCentroid;
DROP AGGREGATE IF EXISTS dbo.clr_VectorCovariance;
DROP AGGREGATE IF EXISTS dbo.clr_VectorKMeans;
DROP AGGREGATE IF EXISTS dbo.clr_VectorMax;
DROP AGGREGATE IF EXISTS dbo.clr_VectorMeanVariance;
DROP AGGREGATE IF EXISTS dbo.clr_VectorMin;
DROP AGGREGATE IF EXISTS dbo.clr_VectorSum;
DROP AGGREGATE IF EXISTS dbo.clr_VectorWeightedCentroid;
DROP AGGREGATE IF EXISTS dbo.clr_VectorWeightedSum;
DROP FUNCTION IF EXISTS dbo.clr_BytesToFloatArrayJson;
DROP PROCEDURE IF EXISTS dbo.clr_CreateStore;
DROP PROCEDURE IF EXISTS dbo.clr_CreateVectorSet;
DROP PROCEDURE IF EXISTS dbo.clr_DeleteTensorAtomPayload;
DROP PROCEDURE IF EXISTS dbo.clr_DeleteVectors;
DROP FUNCTION IF EXISTS dbo.clr_GetTensorAtomPayload;
DROP FUNCTION IF EXISTS dbo.clr_GetTensorAtomPayloadFrom;
DROP FUNCTION IF EXISTS dbo.clr_GetTensorAtomPayloadRange;
DROP FUNCTION IF EXISTS dbo.clr_JsonFloatArrayToBytes;
DROP FUNCTION IF EXISTS dbo.clr_ListAtoms;
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
DROP FUNCTION IF EXISTS dbo.clr_UnpackFloats;
DROP FUNCTION IF EXISTS dbo.clr_VectorAdd;
DROP FUNCTION IF EXISTS dbo.clr_VectorArgMax;
DROP FUNCTION IF EXISTS dbo.clr_VectorConvert;
DROP FUNCTION IF EXISTS dbo.clr_VectorCosineSimilarity;
DROP FUNCTION IF EXISTS dbo.clr_VectorDistance;
DROP FUNCTION IF EXISTS dbo.clr_VectorDotProduct;
DROP FUNCTION IF EXISTS dbo.clr_VectorEuclideanDistance;
DROP FUNCTION IF EXISTS dbo.clr_VectorLerp;
DROP FUNCTION IF EXISTS dbo.clr_VectorNorm;
DROP FUNCTION IF EXISTS dbo.clr_VectorNormalize;
DROP FUNCTION IF EXISTS dbo.clr_VectorScale;
DROP FUNCTION IF EXISTS dbo.clr_VectorSetInfo;
DROP FUNCTION IF EXISTS dbo.clr_VectorSoftmax;
DROP FUNCTION IF EXISTS dbo.clr_VectorSubtract;
DROP PROCEDURE IF EXISTS dbo.clr_VerifyStore;
GO
DROP ASSEMBLY IF EXISTS [TensorAtom.SqlClr];
DROP ROLE IF EXISTS tensoratom_math;
DROP ROLE IF EXISTS tensoratom_reader;
DROP ROLE IF EXISTS tensoratom_writer;
DROP ROLE IF EXISTS tensoratom_operator;
GO
