-- Creates every function, procedure and aggregate of the assembly and grants each to its role. Written by
-- `make clr-sql` from the assembly: do not edit. Run install.sql and roles.sql first; may be run again.
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO
IF OBJECT_ID(N'dbo.GeometricMedian', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.GeometricMedian (@vector nvarchar(max)) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.GeometricMedian]');
GRANT EXECUTE ON dbo.GeometricMedian TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.PrincipalComponentAnalysis', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.PrincipalComponentAnalysis (@vector nvarchar(max), @components int) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.PrincipalComponentAnalysis]');
GRANT EXECUTE ON dbo.PrincipalComponentAnalysis TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.RandomProjection', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.RandomProjection (@vector nvarchar(max), @axes int, @seed int) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.RandomProjection]');
GRANT EXECUTE ON dbo.RandomProjection TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.StreamingSoftmax', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.StreamingSoftmax (@vector nvarchar(max)) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.StreamingSoftmax]');
GRANT EXECUTE ON dbo.StreamingSoftmax TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.VectorCentroid', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.VectorCentroid (@vector nvarchar(max)) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorCentroid]');
GRANT EXECUTE ON dbo.VectorCentroid TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.VectorCovariance', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.VectorCovariance (@vector nvarchar(max)) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorCovariance]');
GRANT EXECUTE ON dbo.VectorCovariance TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.VectorKMeansCluster', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.VectorKMeansCluster (@vector nvarchar(max), @k int) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorKMeansCluster]');
GRANT EXECUTE ON dbo.VectorKMeansCluster TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.VectorMeanVariance', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.VectorMeanVariance (@vector nvarchar(max)) RETURNS nvarchar(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorMeanVariance]');
GRANT EXECUTE ON dbo.VectorMeanVariance TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_GeometricMedian', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_GeometricMedian (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryGeometricMedian]');
GRANT EXECUTE ON dbo.clr_GeometricMedian TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_PrincipalComponents', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_PrincipalComponents (@vector varbinary(max), @components int) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryPrincipalComponents]');
GRANT EXECUTE ON dbo.clr_PrincipalComponents TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorCentroid', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorCentroid (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorCentroid]');
GRANT EXECUTE ON dbo.clr_VectorCentroid TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorCovariance', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorCovariance (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorCovariance]');
GRANT EXECUTE ON dbo.clr_VectorCovariance TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorKMeans', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorKMeans (@vector varbinary(max), @k int) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorKMeans]');
GRANT EXECUTE ON dbo.clr_VectorKMeans TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorLogSumExp', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorLogSumExp (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorLogSumExp]');
GRANT EXECUTE ON dbo.clr_VectorLogSumExp TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorMax', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorMax (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorMax]');
GRANT EXECUTE ON dbo.clr_VectorMax TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorMeanVariance', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorMeanVariance (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorMeanVariance]');
GRANT EXECUTE ON dbo.clr_VectorMeanVariance TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorMin', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorMin (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorMin]');
GRANT EXECUTE ON dbo.clr_VectorMin TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorRandomProjection', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorRandomProjection (@vector varbinary(max), @axes int, @seed int) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorRandomProjection]');
GRANT EXECUTE ON dbo.clr_VectorRandomProjection TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorSum', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorSum (@vector varbinary(max)) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorSum]');
GRANT EXECUTE ON dbo.clr_VectorSum TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorWeightedCentroid', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorWeightedCentroid (@vector varbinary(max), @weight float) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorWeightedCentroid]');
GRANT EXECUTE ON dbo.clr_VectorWeightedCentroid TO tensoratom_math;
GO
IF OBJECT_ID(N'dbo.clr_VectorWeightedSum', N'AF') IS NULL
    EXEC (N'CREATE AGGREGATE dbo.clr_VectorWeightedSum (@vector varbinary(max), @weight float) RETURNS varbinary(max) EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.BinaryVectorWeightedSum]');
GRANT EXECUTE ON dbo.clr_VectorWeightedSum TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_BytesToFloatArrayJson (@vector varbinary(max))
RETURNS nvarchar(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ConversionFunctions].[BytesToJson];
GO
GRANT EXECUTE ON dbo.clr_BytesToFloatArrayJson TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_Changes (@store nvarchar(128), @sinceLsn bigint)
RETURNS TABLE (lsn bigint, operation nvarchar(8), atom_id bigint, atom_key nvarchar(max))
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ChangeFunctions].[Changes];
GO
GRANT SELECT ON dbo.clr_Changes TO tensoratom_reader;
GO
CREATE OR ALTER PROCEDURE dbo.clr_CreateStore
    @store nvarchar(128)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.OperatorProcedures].[CreateStore];
GO
GRANT EXECUTE ON dbo.clr_CreateStore TO tensoratom_operator;
GO
CREATE OR ALTER PROCEDURE dbo.clr_CreateVectorSet
    @store nvarchar(128), @setName nvarchar(4000), @dim bigint, @dtype nvarchar(16), @metric nvarchar(16)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorSetProcedures].[Create];
GO
GRANT EXECUTE ON dbo.clr_CreateVectorSet TO tensoratom_writer;
GO
CREATE OR ALTER PROCEDURE dbo.clr_DeleteTensorAtomPayload
    @store nvarchar(128), @tensorAtomId bigint
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.WriteProcedures].[DeletePayload];
GO
GRANT EXECUTE ON dbo.clr_DeleteTensorAtomPayload TO tensoratom_writer;
GO
CREATE OR ALTER PROCEDURE dbo.clr_DeleteTensorAtomPayloadVersion
    @store nvarchar(128), @tensorAtomId bigint, @lsn bigint
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.WriteProcedures].[DeletePayloadVersion];
GO
GRANT EXECUTE ON dbo.clr_DeleteTensorAtomPayloadVersion TO tensoratom_writer;
GO
CREATE OR ALTER PROCEDURE dbo.clr_DeleteVectors
    @store nvarchar(128), @setName nvarchar(4000), @ids nvarchar(max), @deleted bigint OUTPUT
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorSetProcedures].[Delete];
GO
GRANT EXECUTE ON dbo.clr_DeleteVectors TO tensoratom_writer;
GO
CREATE OR ALTER FUNCTION dbo.clr_DequantizeBlocks (@layout nvarchar(16), @blocks varbinary(max), @elements int)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.QuantizationFunctions].[DequantizeBlocks];
GO
GRANT EXECUTE ON dbo.clr_DequantizeBlocks TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_GetTensor (@store nvarchar(128), @atomName nvarchar(4000))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[GetTensor];
GO
GRANT EXECUTE ON dbo.clr_GetTensor TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_GetTensorAtomPayload (@tensorAtomId bigint)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[GetPayload];
GO
GRANT EXECUTE ON dbo.clr_GetTensorAtomPayload TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_GetTensorAtomPayloadFrom (@store nvarchar(128), @tensorAtomId bigint)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[GetPayloadFrom];
GO
GRANT EXECUTE ON dbo.clr_GetTensorAtomPayloadFrom TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_GetTensorAtomPayloadRange (@store nvarchar(128), @tensorAtomId bigint, @byteOffset bigint, @byteCount bigint)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[GetPayloadRange];
GO
GRANT EXECUTE ON dbo.clr_GetTensorAtomPayloadRange TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_JsonFloatArrayToBytes (@json nvarchar(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ConversionFunctions].[JsonToBytes];
GO
GRANT EXECUTE ON dbo.clr_JsonFloatArrayToBytes TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_ListAtoms (@store nvarchar(128), @prefix nvarchar(4000))
RETURNS TABLE (atom_id bigint, atom_key nvarchar(max), dtype nvarchar(16), shape nvarchar(max), payload_bytes bigint, lsn bigint, created_us bigint, blake3_256 varbinary(32))
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[ListAtoms];
GO
GRANT SELECT ON dbo.clr_ListAtoms TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_MatrixFromSvd (@u varbinary(max), @singularValues varbinary(max), @vt varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.MatrixFunctions].[FromSvd];
GO
GRANT EXECUTE ON dbo.clr_MatrixFromSvd TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_MatrixMultiply (@a varbinary(max), @b varbinary(max), @inner int)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.MatrixFunctions].[Multiply];
GO
GRANT EXECUTE ON dbo.clr_MatrixMultiply TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_MatrixSvd (@matrix varbinary(max), @columns int, @rank int)
RETURNS TABLE (u varbinary(max), singular_values varbinary(max), vt varbinary(max))
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.MatrixFunctions].[Svd];
GO
GRANT SELECT ON dbo.clr_MatrixSvd TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_ProjectTo3D (@vector varbinary(max))
RETURNS TABLE (x float, y float, z float)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ProjectionFunctions].[ProjectTo3D];
GO
GRANT SELECT ON dbo.clr_ProjectTo3D TO tensoratom_math;
GO
CREATE OR ALTER PROCEDURE dbo.clr_PutVectors
    @store nvarchar(128), @setName nvarchar(4000), @ids nvarchar(max), @vectors varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorSetProcedures].[Put];
GO
GRANT EXECUTE ON dbo.clr_PutVectors TO tensoratom_writer;
GO
CREATE OR ALTER PROCEDURE dbo.clr_QueryStore
    @store nvarchar(128), @query nvarchar(max), @rowsMax int, @result nvarchar(max) OUTPUT
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.OperatorProcedures].[QueryStore];
GO
GRANT EXECUTE ON dbo.clr_QueryStore TO tensoratom_operator;
GO
CREATE OR ALTER FUNCTION dbo.clr_SearchMatrix (@store nvarchar(128), @atomName nvarchar(4000), @metric nvarchar(16), @query varbinary(max), @k int, @deadlineMs int)
RETURNS TABLE (rank int, row_id bigint, distance float)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[SearchMatrix];
GO
GRANT SELECT ON dbo.clr_SearchMatrix TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_SearchVectors (@store nvarchar(128), @setName nvarchar(4000), @query varbinary(max), @k int)
RETURNS TABLE (rank int, vector_id bigint, distance float)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorSetFunctions].[SearchVectors];
GO
GRANT SELECT ON dbo.clr_SearchVectors TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_SearchVectorsWhere (@store nvarchar(128), @setName nvarchar(4000), @query varbinary(max), @k int, @metric nvarchar(16), @onlyIds nvarchar(max), @notIds nvarchar(max), @idMin bigint, @idMax bigint, @distanceMax float, @deadlineMs int)
RETURNS TABLE (rank int, vector_id bigint, distance float)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorSetFunctions].[SearchVectorsWhere];
GO
GRANT SELECT ON dbo.clr_SearchVectorsWhere TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_StoreAliases ()
RETURNS TABLE (store_alias nvarchar(64))
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[StoreAliases];
GO
GRANT SELECT ON dbo.clr_StoreAliases TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_StoreStats (@store nvarchar(128))
RETURNS nvarchar(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[StoreStats];
GO
GRANT EXECUTE ON dbo.clr_StoreStats TO tensoratom_reader;
GO
CREATE OR ALTER PROCEDURE dbo.clr_StoreTensor
    @store nvarchar(128), @atomName nvarchar(4000), @dtype nvarchar(16), @rowElements bigint, @payload varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.WriteProcedures].[StoreTensor];
GO
GRANT EXECUTE ON dbo.clr_StoreTensor TO tensoratom_writer;
GO
CREATE OR ALTER PROCEDURE dbo.clr_StoreTensorAtomPayload
    @tensorAtomId bigint, @payload varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.WriteProcedures].[StorePayload];
GO
GRANT EXECUTE ON dbo.clr_StoreTensorAtomPayload TO tensoratom_writer;
GO
CREATE OR ALTER PROCEDURE dbo.clr_StoreTensorAtomPayloadIn
    @store nvarchar(128), @tensorAtomId bigint, @payload varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.WriteProcedures].[StorePayloadIn];
GO
GRANT EXECUTE ON dbo.clr_StoreTensorAtomPayloadIn TO tensoratom_writer;
GO
CREATE OR ALTER FUNCTION dbo.clr_TensorAtomPayloadDigest (@store nvarchar(128), @tensorAtomId bigint)
RETURNS varbinary(32)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ReadFunctions].[PayloadDigest];
GO
GRANT EXECUTE ON dbo.clr_TensorAtomPayloadDigest TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_UnpackFloats (@vector varbinary(max))
RETURNS TABLE (position int, value float)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ConversionFunctions].[UnpackFloats];
GO
GRANT SELECT ON dbo.clr_UnpackFloats TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorAdd (@a varbinary(max), @b varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Add];
GO
GRANT EXECUTE ON dbo.clr_VectorAdd TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorAddOf (@dtype nvarchar(16), @a varbinary(max), @b varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[AddOf];
GO
GRANT EXECUTE ON dbo.clr_VectorAddOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorArgMax (@vector varbinary(max))
RETURNS int
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[ArgMax];
GO
GRANT EXECUTE ON dbo.clr_VectorArgMax TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorArgMaxOf (@dtype nvarchar(16), @vector varbinary(max))
RETURNS int
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[ArgMaxOf];
GO
GRANT EXECUTE ON dbo.clr_VectorArgMaxOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorConvert (@vector varbinary(max), @source nvarchar(16), @target nvarchar(16))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ConversionFunctions].[Convert];
GO
GRANT EXECUTE ON dbo.clr_VectorConvert TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorCosineSimilarity (@a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[CosineSimilarity];
GO
GRANT EXECUTE ON dbo.clr_VectorCosineSimilarity TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorCosineSimilarityOf (@dtype nvarchar(16), @a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[CosineSimilarityOf];
GO
GRANT EXECUTE ON dbo.clr_VectorCosineSimilarityOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorDequantize (@codes varbinary(max), @scale float, @zeroPoint int)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.QuantizationFunctions].[Dequantize];
GO
GRANT EXECUTE ON dbo.clr_VectorDequantize TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorDistance (@metric nvarchar(16), @dtype nvarchar(16), @a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ConversionFunctions].[Distance];
GO
GRANT EXECUTE ON dbo.clr_VectorDistance TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorDotProduct (@a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[DotProduct];
GO
GRANT EXECUTE ON dbo.clr_VectorDotProduct TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorDotProductOf (@dtype nvarchar(16), @a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[DotProductOf];
GO
GRANT EXECUTE ON dbo.clr_VectorDotProductOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorEuclideanDistance (@a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[EuclideanDistance];
GO
GRANT EXECUTE ON dbo.clr_VectorEuclideanDistance TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorEuclideanDistanceOf (@dtype nvarchar(16), @a varbinary(max), @b varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[EuclideanDistanceOf];
GO
GRANT EXECUTE ON dbo.clr_VectorEuclideanDistanceOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorLerp (@a varbinary(max), @b varbinary(max), @t float)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Lerp];
GO
GRANT EXECUTE ON dbo.clr_VectorLerp TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorLerpOf (@dtype nvarchar(16), @a varbinary(max), @b varbinary(max), @t float)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[LerpOf];
GO
GRANT EXECUTE ON dbo.clr_VectorLerpOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorNorm (@vector varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Norm];
GO
GRANT EXECUTE ON dbo.clr_VectorNorm TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorNormOf (@dtype nvarchar(16), @vector varbinary(max))
RETURNS float
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[NormOf];
GO
GRANT EXECUTE ON dbo.clr_VectorNormOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorNormalize (@vector varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Normalize];
GO
GRANT EXECUTE ON dbo.clr_VectorNormalize TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorNormalizeOf (@dtype nvarchar(16), @vector varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[NormalizeOf];
GO
GRANT EXECUTE ON dbo.clr_VectorNormalizeOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorProject (@vector varbinary(max), @axes int, @seed int)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.ProjectionFunctions].[Project];
GO
GRANT EXECUTE ON dbo.clr_VectorProject TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorQuantize (@vector varbinary(max), @blockElements int, @isSymmetric bit)
RETURNS TABLE (block int, scale float, zero_point int, codes varbinary(max))
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.QuantizationFunctions].[Quantize];
GO
GRANT SELECT ON dbo.clr_VectorQuantize TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorScale (@vector varbinary(max), @factor float)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Scale];
GO
GRANT EXECUTE ON dbo.clr_VectorScale TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorScaleOf (@dtype nvarchar(16), @vector varbinary(max), @factor float)
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[ScaleOf];
GO
GRANT EXECUTE ON dbo.clr_VectorScaleOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorSetInfo (@store nvarchar(128), @setName nvarchar(4000))
RETURNS TABLE (dim bigint, dtype nvarchar(16), metric nvarchar(16), vectors bigint)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorSetFunctions].[VectorSetInfo];
GO
GRANT SELECT ON dbo.clr_VectorSetInfo TO tensoratom_reader;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorSoftmax (@vector varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Softmax];
GO
GRANT EXECUTE ON dbo.clr_VectorSoftmax TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorSoftmaxOf (@dtype nvarchar(16), @vector varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[SoftmaxOf];
GO
GRANT EXECUTE ON dbo.clr_VectorSoftmaxOf TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorSubtract (@a varbinary(max), @b varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.VectorFunctions].[Subtract];
GO
GRANT EXECUTE ON dbo.clr_VectorSubtract TO tensoratom_math;
GO
CREATE OR ALTER FUNCTION dbo.clr_VectorSubtractOf (@dtype nvarchar(16), @a varbinary(max), @b varbinary(max))
RETURNS varbinary(max)
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.TypedVectorFunctions].[SubtractOf];
GO
GRANT EXECUTE ON dbo.clr_VectorSubtractOf TO tensoratom_math;
GO
CREATE OR ALTER PROCEDURE dbo.clr_VerifyStore
    @store nvarchar(128), @prefix nvarchar(4000), @deadlineMs int, @report nvarchar(max) OUTPUT
AS EXTERNAL NAME [TensorAtom.SqlClr].[TensorAtom.SqlClr.OperatorProcedures].[VerifyStore];
GO
GRANT EXECUTE ON dbo.clr_VerifyStore TO tensoratom_operator;
GO
